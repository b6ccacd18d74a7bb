# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict reading of the JSON that Smalti keeps on disk and sends between its processes.

A frozen dataclass is the schema: its annotations give the types, its defaults what may be left out. `from_mapping`
refuses unknown keys, wrong types and numbers that are not finite, and names the key. Only the types that our own
dataclasses use are understood: bool, int, float, str, dict, tuple[X, ...], X | None, Literal and nested dataclasses.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from .errors import SmaltiError

T = TypeVar("T")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def _fault(kind: Any, value: Any) -> str | None:
    """Say what `value` should have been for the annotation `kind`, or None where it fits."""
    if kind is Any:
        return None
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        faults = [_fault(option, value) for option in args]
        return None if None in faults else " or ".join(str(fault) for fault in faults)
    if origin is typing.Literal:
        good = value in args and type(value) in {type(a) for a in args}
        return None if good else "one of " + ", ".join(json.dumps(a) for a in args)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return "a list"
        if len(args) == 2 and args[1] is Ellipsis:
            inner = [args[0]] * len(value)
        elif len(args) == len(value):
            inner = list(args)
        else:
            return f"a list of {len(args)} values"
        return next((f"a list of {fault}" for k, v in zip(inner, value) if (fault := _fault(k, v))), None)
    if kind is type(None):
        return None if value is None else "null"
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind is int:
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if kind is float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and _finite(value)
        return None if good else "a finite number"
    if kind is str:
        return None if isinstance(value, str) else "a text"
    if kind is dict or origin is dict:
        return None if isinstance(value, dict) else "an object"
    if dataclasses.is_dataclass(kind):
        return None if isinstance(value, (dict, typing.cast(type, kind))) else "an object"
    raise TypeError(f"schema does not understand {kind!r}")


def _converted(kind: Any, value: Any, where: str) -> Any:
    """`value`, which `_fault` has passed, as `kind` has it; `where` is what to call it in messages."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kind = next(option for option in args if _fault(option, value) is None)
        return _converted(kind, value, where)
    if origin is tuple:
        inner = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        return tuple(_converted(k, v, f"{where}, number {i}") for i, (k, v) in enumerate(zip(inner, value), 1))
    if kind is float:
        return float(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return from_mapping(typing.cast(type, kind), value, where)
    return value


def from_mapping(kind: type[T], data: Any, where: str) -> T:
    """Build the dataclass `kind` from decoded JSON.

    Args:
        kind: a dataclass.
        data: what `json.loads` returned.
        where: what to call the source in messages, e.g. the path of the file.

    Raises:
        SmaltiError: code ``"bad_file"``, naming `where`, the key and what was expected of it, or ``"unknown_key"`` for
            a key that `kind` does not have.
    """
    if not isinstance(data, dict):
        raise SmaltiError(f"{where}: expected an object of settings.", code="bad_file")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise SmaltiError(
            f"{where}: unknown key {', '.join(repr(k) for k in unknown)}.",
            f"Remove it; known keys are {', '.join(fields)}.",
            "unknown_key",
        )
    values = {}
    for name, field in fields.items():
        if name not in data:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise SmaltiError(f"{where}: the key {name!r} is missing.", code="bad_file")
            continue
        fault = _fault(hints[name], data[name])
        if fault:
            raise SmaltiError(f"{where}: {name!r} must be {fault}, not {json.dumps(data[name])[:80]}.", code="bad_file")
        values[name] = _converted(hints[name], data[name], f"{where}: {name}")
    return kind(**values)


def to_mapping(value: Any) -> dict[str, Any]:
    """The dataclass `value` as plain JSON types (the inverse of `from_mapping`)."""
    return dataclasses.asdict(value)


def parse_json(text: str) -> Any:
    """`json.loads` without NaN and infinity, which JSON does not have. Raises ValueError, also for endless nesting."""

    def no_constant(text: str) -> float:
        raise ValueError(f"{text} is not a number that JSON allows")

    try:
        return json.loads(text, parse_constant=no_constant)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def read_json(
    path: Path,
    kind: type[T],
    format_name: str,
    version: int,
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> T:
    """Read a versioned JSON file: an object whose ``format`` and ``version`` must be the ones given.

    Args:
        path: the file.
        kind: the dataclass that it becomes.
        format_name, version: which must be there.
        completed: adds keys that follow from others.

    Raises:
        SmaltiError: the file is missing or unreadable, is not JSON, holds NaN or infinity, has another format, is of a
            newer version (code ``"newer_version"``), or does not fit `kind`.
    """
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise SmaltiError(f"{path}: cannot be read ({fault.strerror}).", code="bad_file") from fault
    except ValueError as fault:
        hint = "Restore it or start a new job."
        raise SmaltiError(f"{path}: is not valid JSON ({fault}).", hint, "bad_file") from fault
    if not isinstance(data, dict) or data.pop("format", None) != format_name:
        raise SmaltiError(f"{path}: is not a {format_name} file.", code="bad_file")
    found = data.pop("version", None)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise SmaltiError(f"{path}: the key 'version' must be a whole number.", code="bad_file")
    if found > version:
        raise SmaltiError(
            f"{path}: is version {found}, and this Smalti reads versions up to {version}.",
            "Update Smalti.",
            "newer_version",
        )
    return from_mapping(kind, completed(data), str(path))


def read_text_at(path: Path, key: str) -> str:
    """The text under a key of a JSON file's object; empty where there is none, or no such file. Never raises."""
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def write_json(
    path: Path, value: Any, format_name: str, version: int, more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write a dataclass as a versioned JSON file that `read_json` reads. A file that was there is replaced in one step.

    Args:
        path: the file.
        value: the dataclass.
        format_name, version: of the file.
        more: keys that stand before those of `value`.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    mapping = {"format": format_name, "version": version, **more, **to_mapping(value)}
    text = json.dumps(mapping, indent=1, allow_nan=False)
    staged = path.with_name(f".{path.name}.new")
    try:
        try:
            staged.write_text(text + "\n", encoding="utf-8")
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as fault:
        raise SmaltiError(
            f"{path}: cannot be written ({fault.strerror}).",
            "Free some space or choose another folder.",
            "cannot_write",
        ) from fault
