# SPDX-License-Identifier: GPL-3.0-or-later
"""What test_house_rules.py reads out of the sources: sizes, imports, constants, comparisons, words.

Each function returns findings, one line of text each, that begin with the path of the file relative to the checkout.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE_FOLDERS = ("addon", "bridge", "engine", "benchmarks", "examples", "docs", "tests")
PRODUCTION_FOLDERS = ("addon", "bridge", "engine", "benchmarks")
NATIVE_SUFFIXES = (".cpp", ".h", ".cu", ".cuh")

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 7


@functools.cache
def sources(suffixes: tuple[str, ...], folders: tuple[str, ...] = CODE_FOLDERS) -> tuple[Path, ...]:
    """All files below some folders whose names end in one of the suffixes, in a fixed order."""
    found = (path for folder in folders for suffix in suffixes for path in (ROOT / folder).rglob(f"*{suffix}"))
    return tuple(sorted(path for path in found if "__pycache__" not in path.parts))


def name_of(path: Path) -> str:
    """The path relative to the checkout, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text("utf-8"), name_of(path))


def unexpected(found: Mapping[str, str], exceptions: Mapping[str, str]) -> list[str]:
    """Findings that no exception allows, and exceptions that nothing needs any more.

    Args:
        found: the key of a finding -> the finding as text.
        exceptions: the key of a finding -> the reason why it may stay.
    """
    needless = [f"{key}: this exception is no longer needed" for key in exceptions if key not in found]
    return [text for key, text in found.items() if key not in exceptions] + needless


# Sizes.


def long_files() -> dict[str, str]:
    """Files of more than `MAX_FILE_LINES` lines, by their path."""
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in sources((".py", *NATIVE_SUFFIXES))}
    return {name: f"{name}: {lines} lines" for name, lines in lengths.items() if lines > MAX_FILE_LINES}


def long_functions() -> dict[str, str]:
    """Functions of more than `MAX_FUNCTION_LINES` lines, by ``"path:function"``. Nested ones count in the outer one."""
    found = {}
    for path in sources((".py",)):
        for name, function in functions_in(path):
            found[f"{name_of(path)}:{name}"] = (function.end_lineno or 0) - function.lineno + 1
    for path in sources(NATIVE_SUFFIXES):
        for native in native_functions(path.read_text("utf-8")):
            key = f"{name_of(path)}:{native.name}"
            found[key] = max(native.lines, found.get(key, 0))
    return {key: f"{key}: {lines} lines" for key, lines in found.items() if lines > MAX_FUNCTION_LINES}


def long_parameter_lists() -> dict[str, str]:
    """Python functions of more than `MAX_PARAMETERS` parameters, by ``"path:function"``; self and cls do not count."""
    found = {}
    for path in sources((".py",)):
        for name, function in functions_in(path):
            a = function.args
            given = [each.arg for each in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if each]
            count = len([each for each in given if each not in ("self", "cls")])
            if count > MAX_PARAMETERS:
                found[f"{name_of(path)}:{name}"] = f"{name_of(path)}:{name}: {count} parameters"
    return found


@functools.cache
def functions_in(path: Path) -> tuple[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef], ...]:
    """`functions_of` a Python file."""
    return tuple(functions_of(tree_of(path)))


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """All functions and methods, nested ones too, with their names: ``"Class.method"``, ``"outer.inner"``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):  # holds no definition
            continue
        inner = prefix
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{prefix}{node.name}."
            if not isinstance(node, ast.ClassDef):
                yield f"{prefix}{node.name}", node
        yield from functions_of(node, inner)


@dataclass(frozen=True)
class NativeFunction:
    """A function in C++ or CUDA: its name, and its number of lines from the signature to the closing brace."""

    name: str
    lines: int


_NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#(?:\\\n|[^\n])*',
    re.DOTALL | re.MULTILINE,
)
_SCOPE = re.compile(r"\b(?:namespace|struct|class|union|enum)\b[^()]*$|\bextern\s*$")


def native_functions(text: str) -> Iterator[NativeFunction]:
    """Functions of a C++ or CUDA source, found by counting braces.

    A brace that opens after a parenthesis, outside any function, opens a function, and what lies in it (blocks,
    lambdas) belongs to it. Preprocessor lines, comments and literals are blanked first. Both branches of an ``#if``
    count, so the braces of each must balance.
    """
    code = _NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    scopes: list[bool] = []  # for each open brace that belongs to no function: whether it opened a scope
    head = 0  # where the text before the next brace begins
    inside, began, name = 0, 0, ""
    for mark in re.finditer(r"[{};]", code):
        at = mark.start()
        if inside:
            inside += {"{": 1, "}": -1, ";": 0}[mark[0]]
            if not inside:
                yield NativeFunction(name, code.count("\n", began, at) + 1)
        elif mark[0] == "{":
            before = code[head:at]
            if "(" in before and not _SCOPE.search(before) and not before.rstrip().endswith("="):
                inside, began = 1, at - len(before.lstrip())
                name = _native_name(before)
            else:
                scopes.append(True)
        elif mark[0] == "}" and scopes:
            scopes.pop()
        head = at + 1


def _native_name(before: str) -> str:
    """The name in a signature: the word before its first parenthesis that is no attribute's."""
    plain = re.sub(
        r"\b(?:__launch_bounds__|__attribute__|alignas|NB_MODULE_?)\s*\([^()]*(?:\([^()]*\))*[^()]*\)", "", before
    )
    named = re.search(r"([~\w]+|operator\s*\S+?)\s*\(", plain)
    return named[1] if named else "NB_MODULE"


# Imports.


def foreign_imports(folder: str, allowed: Collection[str] = ()) -> list[str]:
    """Imports of a folder's modules that are neither relative, nor of the standard library, nor allowed."""
    known = {*sys.stdlib_module_names, *allowed}
    found = []
    for path in sources((".py",), (folder,)):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            found += [f"{name_of(path)}:{node.lineno}: imports {n}" for n in names if n.split(".")[0] not in known]
    return found


# Settings, choices, constants.


def literals_compared(names: Collection[str], folders: tuple[str, ...] = PRODUCTION_FOLDERS) -> dict[str, str]:
    """Comparisons (also ``in`` and ``match``) with one of some texts, by ``"path:text"``."""
    found = {}
    for path in sources((".py",), folders):
        for node in ast.walk(tree_of(path)):
            parts: list[ast.expr] = []
            if isinstance(node, ast.Compare):
                for side in (node.left, *node.comparators):
                    parts += side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            elif isinstance(node, ast.MatchValue):
                parts = [node.value]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in names:
                    key = f"{name_of(path)}:{part.value}"
                    found[key] = f"{name_of(path)}:{part.lineno}: compares with {part.value!r}"
    return found


def settings_named(names: Collection[str], files: Sequence[Path]) -> dict[str, str]:
    """Where files write out the name of a setting, as a text or as an attribute of a job, by ``"path:setting"``."""
    found = {}
    for path in files:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("job", "spec"):
                name = node.attr
            else:
                continue
            if name in names:
                found[f"{name_of(path)}:{name}"] = f"{name_of(path)}:{node.lineno}: names the setting {name}"
    return found


def module_numbers(folder: str) -> dict[str, str]:
    """Constants of a folder's modules that are numbers, or made of numbers, by ``"path:NAME"``."""
    found = {}
    for path in sources((".py",), (folder,)):
        for target, value in _module_assignments(tree_of(path)):
            if value is not None and _is_number(value):
                key = f"{name_of(path)}:{target}"
                found[key] = f"{key} = {ast.unparse(value)}"
    return found


def array_aliases(folder: str) -> dict[str, str]:
    """Names for types of arrays at the top of a folder's modules, by ``"path:NAME"``."""
    found = {}
    for path in sources((".py",), (folder,)):
        for target, value in _module_assignments(tree_of(path)):
            if isinstance(value, ast.Subscript) and ast.unparse(value.value) in ("NDArray", "np.ndarray"):
                found[f"{name_of(path)}:{target}"] = f"{name_of(path)}:{target} = {ast.unparse(value)}"
    return found


def _module_assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    yield from ((ast.unparse(t), v) for t, v in zip(target.elts, node.value.elts))
                else:
                    yield ast.unparse(target), node.value
        elif isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target), node.value


def _is_number(node: ast.expr) -> bool:
    """Whether an expression is a number, or a tuple, list or dict of nothing but numbers."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts) and all(map(_is_number, node.elts))
    if isinstance(node, ast.Dict):
        return bool(node.values) and all(map(_is_number, node.values))
    return False


def unasserted_mirrors(python_folders: Sequence[str], native_folders: Sequence[str]) -> list[str]:
    """Numbers that Python and C++ both name, where no static_assert of the C++ side names the Python module.

    A constant ``PAIR_NUMBERS`` is taken to be mirrored where a native source has a constant of that name, or
    ``kPairNumbers``; the assertion's message has to name the module's file and the constant.
    """
    native = {path: path.read_text("utf-8") for path in sources(NATIVE_SUFFIXES, tuple(native_folders))}
    asserted = " ".join(
        m for text in native.values() for m in re.findall(r"static_assert\s*\((.*?)\)\s*;", text, re.DOTALL)
    )
    found = []
    for folder in python_folders:
        for key in module_numbers(folder):
            path, name = key.split(":")
            other = "k" + name.title().replace("_", "")
            defined = re.compile(rf"(?:#define\s+|constexpr[^;=]*\b|const[^;=]*\b|\b)(?:{name}|{other})\s*(?:=|\s\d)")
            where = [name_of(source) for source, text in native.items() if defined.search(text)]
            if where and not re.search(rf"\b{re.escape(Path(path).name)}\b[^;]*\b{name}\b", asserted):
                found.append(f"{key} mirrors {where[0]}, and no static_assert there names it")
    return found


# Words.


@dataclass(frozen=True)
class Word:
    """What is not written any more: a regular expression, what stands instead, and the folders in which it holds."""

    pattern: str
    instead: str
    folders: tuple[str, ...] = ()


def words_found(words: Sequence[Word], texts: Mapping[str, str]) -> dict[str, str]:
    """Words that stand in texts, by ``"path:word as it stands"``.

    Args:
        words: what to look for, in files whose path begins with one of the word's folders (none: in all).
        texts: path -> text.
    """
    lines: dict[tuple[str, str, str], list[int]] = {}
    for word in words:
        pattern = re.compile(word.pattern)
        for path, text in texts.items():
            if word.folders and not path.startswith(word.folders):
                continue
            for match in pattern.finditer(text):
                shown = " ".join(match[0].split())
                line = text.count("\n", 0, match.start()) + 1
                lines.setdefault((path, shown, word.instead), []).append(line)
    return {
        f"{path}:{shown}": f"{path}:{','.join(map(str, at))}: {shown!r}, write: {instead}"
        for (path, shown, instead), at in lines.items()
    }


def written() -> dict[str, str]:
    """All that is written here, code and pages, by path. The tables of the rules themselves are left out."""
    files = [*sources((".py", ".md", *NATIVE_SUFFIXES)), *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    own = {"tests/house_rules.py", "tests/house_tables.py", "tests/test_house_rules.py", "CHANGELOG.md"}
    return {name_of(path): path.read_text("utf-8") for path in files if name_of(path) not in own}


BLENDER_METHODS = ("poll", "invoke", "execute", "modal", "draw", "draw_item", "draw_header")


def undocumented(folders: tuple[str, ...]) -> list[str]:
    """Public modules, classes, functions and methods without a docstring.

    What is nested in a function, a property's setter, an overload, and the methods by which Blender calls an operator
    or a panel (`BLENDER_METHODS`) need none.
    """
    found = []
    for path in sources((".py",), folders):
        tree = tree_of(path)
        if ast.get_docstring(tree) is None:
            found.append(f"{name_of(path)}: the module")
        todo: list[tuple[str, ast.stmt]] = [("", node) for node in tree.body]
        while todo:
            prefix, node = todo.pop()
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if any(ast.unparse(d).endswith((".setter", "overload")) for d in node.decorator_list):
                continue
            if path.is_relative_to(ROOT / "addon") and prefix and node.name in BLENDER_METHODS:
                continue
            if ast.get_docstring(node) is None:
                found.append(f"{name_of(path)}:{node.lineno}: {prefix}{node.name}")
            if isinstance(node, ast.ClassDef):
                todo += [(f"{prefix}{node.name}.", each) for each in node.body]
    return found


MEASURED = re.compile(r"\d\s*(?:dB|%|ms\b|times as|s on (?:two|2) cores)")


def measured_stories(folders: tuple[str, ...]) -> list[str]:
    """Docstrings of modules that tell figures of an experiment."""
    return [
        f"{name_of(path)}: {match[0]}"
        for path in sources((".py",), folders)
        for match in MEASURED.finditer(ast.get_docstring(tree_of(path)) or "")
    ]
