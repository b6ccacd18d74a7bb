# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of settings: what one row says, and how it is read.

A row is a field of a dataclass (`bridge.job.JobSpec`, `bridge.region.RegionSpec`), made by `setting`, with its long
description as the docstring below it. The range checks, the command line's options, the panel's properties and the
table in the README go through `settings_of`, so a setting that is added to the dataclass is in all of them.

    colour_mix: float = setting(0.0, "Color Mix", "0 tints the bitmaps, 1 keeps their own colors", low=0, high=1)
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from .choices import Choice
from .errors import bad_setting
from .lengths import LENGTH, length_rule

IMAGE = "the path of an image"
BITMAPS = "the path of a folder of bitmaps"
"""Rules of paths."""

_ROW = "row"

Spec = TypeVar("Spec", bound=Any)


@dataclass(frozen=True)
class Row:
    """What is known of a setting beside its name, its type and its default.

    Attributes:
        label: what the panel calls it, in Blender's way: "Color Mix".
        help: what it does, a phrase without a full stop.
        none: what is taken where it is None, read after "default:"; empty where nothing is.
        low, above, high: the range of a number: from `low`, or more than `above`, to `high`. Without `high`, any
            finite number. A number has one of `low` and `above`.
        soft_high: where a slider ends, beyond which one can still type.
        begin: of a number that may be left open, what the panel offers where it is first given; else its least.
        unit: of a number, in the plural.
        rule: what it must be, read after "must be", where the range does not say it well, or it is a path.
        check: says which rule a value breaks, and an empty text where it is good.
        path: whether it is the path of a file, or of a folder; paths are made absolute, and must not be empty.
        choices: the names that it may have.
        page: part of the panel that shows it; None for none.
        flag: the command line's option, where it is not the name with hyphens: "--mix".
        metavar: the option's value in help texts, where it is not FILE, FOLDER, PX, N, X or the name in capitals.
    """

    label: str
    help: str
    none: str = ""
    low: float | None = None
    above: float | None = None
    high: float | None = None
    soft_high: float | None = None
    begin: float | None = None
    unit: str = ""
    rule: str = ""
    check: Callable[[Any], str] | None = None
    path: Literal["file", "folder"] | None = None
    choices: Mapping[Any, Choice] | None = None
    page: str | None = "advanced"
    flag: str = ""
    metavar: str = ""


@dataclass(frozen=True)
class Setting(Row):
    """A row with what its field says.

    Attributes:
        name: the key in job.json.
        kind: bool, int, float, str or tuple.
        optional: whether it may be None.
        is_length: whether a number may also be a length on paper, "5mm".
        several: whether it may also be a list of such values.
        required: whether it has no default.
        default: that of the dataclass.
    """

    name: str = ""
    kind: type = str
    optional: bool = False
    several: bool = False
    is_length: bool = False
    required: bool = False
    default: Any = None

    @property
    def option(self) -> str:
        """The command line's option."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def is_number(self) -> bool:
        """Whether it has a range."""
        return self.kind in (int, float)

    @property
    def is_open_number(self) -> bool:
        """Whether it is a number that may be left open."""
        return self.is_number and self.optional

    @property
    def range(self) -> str:
        """What a number must be, in words: "from 16 to 16,384 pixels"; empty for all else."""
        if not self.is_number or self.rule:
            return self.rule if self.is_number else ""
        if self.high is None:
            least = self.low if self.above is None else self.above
            unit = self.unit.removesuffix("s") if least == 1 else self.unit
            return f"{'at least' if self.above is None else 'more than'} {least:,} {unit}".rstrip()
        if self.above is None:
            return f"from {self.low:,} to {self.high:,} {self.unit}".rstrip()
        return f"more than {self.above:,} and at most {self.high:,} {self.unit}".rstrip()

    def broken_rule(self, value: Any) -> str:
        """What `value` must be and is not; empty where it is good. Other settings are not looked at."""
        if value is None:
            return "" if self.optional else "given"
        if self.choices is not None:
            return "" if value in self.choices else f"one of {', '.join(self.choices)}"
        if self.is_length and isinstance(value, str):
            return length_rule(value)
        if self.is_number:
            least = value >= self.low if self.above is None else value > self.above
            most = value < math.inf if self.high is None else value <= self.high
            return "" if least and most else self.range
        if self.path and not (value and all(listed(value))):
            return self.rule
        return self.check(value) if self.check else ""


def row(label: str, help: str, **more: Any) -> dict[str, Row]:
    """The metadata of a field that is a setting without a default; arguments as `Row`."""
    return {_ROW: Row(label, help, **more)}


def setting(default: Any, label: str, help: str, **more: Any) -> Any:
    """The field of a setting; arguments as `Row`."""
    return dataclasses.field(default=default, metadata=row(label, help, **more))


def gray_picture(label: str, meaning: str, **more: Any) -> Any:
    """The field of a setting that is the path of a mask or map, or None; of several where its type says so."""
    help = f"A gray picture, stretched over the canvas: {meaning}"
    return setting(None, label, help, path="file", rule=IMAGE, **more)


def sprite_size(label: str, help: str, none: str, **more: Any) -> Any:
    """The field of a setting that bounds the longer side of sprites, in pixels or on paper, or None."""
    more = {"low": 1, "soft_high": 1024, "unit": "pixels", **more}
    return setting(None, label, f"{help}, or on paper (5mm)", none=none, **more)


def paper_length(label: str, help: str, **more: Any) -> Any:
    """The field of a setting that is a length on paper as a text, or None."""
    return setting(None, label, f"{help}: {LENGTH}", check=length_rule, metavar="LENGTH", **more)


def share(label: str, help: str, high: float = 1, **more: Any) -> Any:
    """The field of a setting from 0, its default, to `high`."""
    return setting(0.0, label, help, low=0, high=high, **more)


def settings_of(kind: type) -> dict[str, Setting]:
    """The settings of a dataclass by their names, in its order.

    Raises:
        TypeError: a row does not fit its field.
    """
    dataclass_type: Any = kind  # which type checkers do not take for hashable
    return _read(dataclass_type)


@cache
def _read(kind: Any) -> dict[str, Setting]:
    hints = typing.get_type_hints(kind)
    return {field.name: _setting(field, hints[field.name]) for field in dataclasses.fields(kind)}


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    given: Row = field.metadata[_ROW]
    optional = type(None) in typing.get_args(hint)
    options = [option for option in typing.get_args(hint) if option is not types.NoneType] if optional else [hint]
    hint = options[0]
    origin, names = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and (given.choices is None or tuple(given.choices) != names):
        raise TypeError(f"{field.name}: the table of choices is not that of {names}")
    result = Setting(
        **{f.name: getattr(given, f.name) for f in dataclasses.fields(given)},
        name=field.name,
        kind=str if origin is Literal else origin or hint,
        optional=optional,
        several=any(typing.get_origin(option) is tuple for option in options[1:]),
        is_length=options[0] is float and str in options,
        required=field.default is dataclasses.MISSING,
        default=None if field.default is dataclasses.MISSING else field.default,
    )
    if not result.metavar:
        result = dataclasses.replace(result, metavar=_metavar(result))
    if result.is_number and (given.low is None) == (given.above is None):
        raise TypeError(f"{field.name}: a number has either low or above")
    if given.path and not given.rule:
        raise TypeError(f"{field.name}: a path has a rule")
    return result


def _metavar(one: Setting) -> str:
    if one.path:
        return one.path.upper()
    if one.unit == "pixels":
        return "PX"
    return {int: "N", float: "X"}.get(one.kind, one.name.upper())


def check_ranges(settings: object, region: int | None = None) -> None:
    """See that every setting of a dataclass is good by itself.

    Args:
        settings: the dataclass.
        region: its number, from 1, where it is a region of a job.

    Raises:
        SmaltiError: code ``"bad_setting"``, naming the first that is not.
    """
    for name, one in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if rule := one.broken_rule(value):
            raise bad_setting(name, value, rule, region)


def require(settings: object, good: bool, name: str, rule: str, region: int | None = None) -> None:
    """Raise SmaltiError (code ``"bad_setting"``) that names a setting of a dataclass where it is not `good`."""
    if not good:
        raise bad_setting(name, getattr(settings, name), rule, region)


def paths_of(settings: Any) -> dict[str, str]:
    """Every path among the rows of a dataclass that is not None, by its key; of a list, "key", "key 2" and so on."""
    found = {}
    for name, one in settings_of(type(settings)).items():
        for number, path in enumerate(listed(getattr(settings, name)) if one.path else (), 1):
            found[name if number == 1 else f"{name} {number}"] = path
    return found


def with_paths(settings: Spec, change: Callable[[str], str]) -> Spec:
    """The dataclass with each of these paths changed."""
    changed: dict[str, Any] = {}
    for name, one in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if one.path and value is not None:
            changed[name] = tuple(map(change, value)) if isinstance(value, tuple) else change(value)
    return dataclasses.replace(settings, **changed)


def listed(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The values of a setting that is one of them, a list, or None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
