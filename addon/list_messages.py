# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension says to an artist, for those who translate it. After `make packages`, with PYTHONPATH=build/path:

    python -m smalti_addon.list_messages            every message
    python -m smalti_addon.list_messages de         what addon/translations/de.po lacks, as entries for it
    python -m smalti_addon.list_messages --made     where messages are made of parts as Blender runs: these stay English

They are read out of the sources, so no Blender is needed: labels and tooltips of settings from their table, all else
from the calls and classes that show them.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from . import po_file
from .bridge.job import JobSpec
from .bridge.looks import LOOKS
from .bridge.region import RegionSpec
from .bridge.settings import settings_of
from .labels import description_of

_ADDON = Path(__file__).resolve().parent
_NOT_SHIPPED = {"build_extension.py", "list_messages.py"}
_KEYWORDS = {"text", "heading", "title", "message", "confirm_text"}
_OF_PROPERTIES = {"name", "description"}
_CLASS_NAMES = {"bl_label"}
_FIRST = {"poll_message_set": 0, "lines": 2, "report": 1, "SmaltiError": 0}
"""Functions that show an argument, by its place."""


def constant_messages() -> dict[str, str]:
    """Every message that is the same always: itself -> where it is."""
    found: dict[str, str] = dict.fromkeys(_of_settings(), "bridge")
    for path in _sources():
        for text, node in _shown(ast.parse(path.read_text(encoding="utf-8"))):
            if text is not None and any(letter.isalpha() for letter in text):
                found.setdefault(text, f"{path.name}:{node.lineno}")
    return found


def made_messages() -> list[str]:
    """Where messages are made of parts: "file:line", each once."""
    return [
        f"{path.name}:{node.lineno}"
        for path in _sources()
        for text, node in _shown(ast.parse(path.read_text(encoding="utf-8")))
        if text is None
    ]


def _sources() -> list[Path]:
    return [path for path in sorted(_ADDON.glob("*.py")) if path.name not in _NOT_SHIPPED]


def _of_settings() -> Iterator[str]:
    """Labels and tooltips that follow from the table of settings."""
    for one in (*settings_of(JobSpec).values(), *settings_of(RegionSpec).values()):
        if one.page is None:
            continue
        yield one.label
        yield description_of(one)
        for choice in (one.choices or {}).values():
            if choice.everyday:
                yield from (choice.label, choice.help)
    for look in LOOKS.values():
        yield from (look.label, look.help)


def _shown(tree: ast.AST) -> Iterator[tuple[str | None, ast.expr]]:
    """Expressions that are shown, with their text; None where it is made of parts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _shown_by_call(node)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("SMALTI_"):
            yield from _shown_by_class(node)


def _shown_by_class(node: ast.ClassDef) -> Iterator[tuple[str | None, ast.expr]]:
    """A class's label, and its docstring, which is the tooltip of operators and menus."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _CLASS_NAMES:
                yield from _texts(value)
            case ast.Expr(value=ast.Constant(value=str())) if "_OT_" in node.name or "_MT_" in node.name:
                yield from _texts(statement.value)


def _shown_by_call(node: ast.Call) -> Iterator[tuple[str | None, ast.expr]]:
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for keyword in node.keywords:
        if keyword.arg in (_KEYWORDS | _OF_PROPERTIES if function.endswith("Property") else _KEYWORDS):
            yield from _texts(keyword.value)
        if keyword.arg == "items" and isinstance(keyword.value, ast.Tuple | ast.List):
            for item in keyword.value.elts:
                if isinstance(item, ast.Tuple):
                    for part in item.elts[1:3]:
                        yield from _texts(part)
    place = _FIRST.get(function)
    if place is not None and len(node.args) > place:
        yield from _texts(node.args[place])
    if function == "SmaltiError" and len(node.args) > 1:
        yield from _texts(node.args[1])


def _texts(node: ast.expr) -> Iterator[tuple[str | None, ast.expr]]:
    """The texts that an expression may be. A name, or a call, stands for one that is found where it is made."""
    match node:
        case ast.Constant(value=str(text)):
            yield text, node
        case ast.JoinedStr():
            yield None, node
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="List what the extension says, for translators.")
    parser.add_argument("language", nargs="?", help="a file of addon/translations: what it lacks")
    parser.add_argument("--made", action="store_true", help="where messages are made of parts")
    options = parser.parse_args()
    if options.made:
        print("\n".join(made_messages()))
        return 0
    known = po_file.read(_ADDON / "translations" / f"{options.language}.po") if options.language else {}
    for text, where in constant_messages().items():
        if text not in known:
            print(f"#: {where}\n{po_file.written(text)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
