# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions as the command line takes them: ``mask=face.png,count=800,min=4,max=20,primitives=petals,confine``."""

from __future__ import annotations

import re
from typing import Any

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import RegionSpec

_SETTINGS: dict[str, tuple[str, type]] = {
    "mask": ("mask", str),
    "count": ("count", int),
    "min": ("min_size", float),
    "max": ("max_size", float),
    "primitives": ("primitives", str),
}
_NEXT = re.compile(r",(?=\w+=|confine(?:,|$))")
"""A comma that ends a setting; others are parts of file names."""
_EXAMPLE = "Write it as mask=FILE,count=N, with min=PX, max=PX, primitives=FOLDER and confine as you like."


def read_region(given: str) -> RegionSpec:
    """The region that a text describes; whether its values are in range is not looked at.

    Raises:
        SmaltiError: code ``"bad_region"``: a setting is unknown, given twice or no number, or mask or count is missing.
    """
    found: dict[str, Any] = {}
    for part in _NEXT.split(given):
        key, equals, text = part.partition("=")
        if part == "confine":
            name, value = "confine", True
        elif equals and key in _SETTINGS:
            name, value = _SETTINGS[key][0], _value(given, key, text)
        else:
            raise _fault(given, f"{part!r} is no setting of a region")
        if name in found:
            raise _fault(given, f"{key} is given twice")
        found[name] = value
    for key in ("mask", "count"):
        if key not in found:
            raise _fault(given, f"{key} is missing")
    return RegionSpec(**found)


def _value(given: str, key: str, text: str) -> Any:
    kind = _SETTINGS[key][1]
    try:
        return kind(text)
    except ValueError as fault:
        raise _fault(given, f"{key} is {text!r}, but must be a {'whole ' * (kind is int)}number") from fault


def _fault(given: str, what: str) -> SmaltiError:
    return SmaltiError(f"--region {given}: {what}.", _EXAMPLE, "bad_region")
