# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions as the command line takes them: ``mask=face.png,count=800,min=4,max=20,primitives=petals,confine``."""

from __future__ import annotations

import re
from typing import Any

from smalti.bridge.errors import SmaltiError, named
from smalti.bridge.job import RegionSpec
from smalti.bridge.settings import Setting, settings_of

from .number_argument import length


def key_of(one: Setting) -> str:
    """What the command line calls a setting of a region."""
    return one.flag or one.name


def syntax() -> str:
    """How a region is written: ``mask=FILE,count=N[,min=PX]`` and so on."""
    parts: list[str] = []
    for one in settings_of(RegionSpec).values():
        text = key_of(one) if one.kind is bool else f"{key_of(one)}={one.metavar}"
        parts.append(("," if parts else "") + text if one.required else f"[,{text}]")
    return "".join(parts)


def read_region(given: str) -> RegionSpec:
    """The region that a text describes; whether its values are in range is not looked at.

    Raises:
        SmaltiError: code ``"bad_region"``: a setting is unknown, given twice or no number, or one that is required is
            missing.
    """
    settings = {key_of(one): one for one in settings_of(RegionSpec).values()}
    words = [key for key, one in settings.items() if one.kind is bool]
    # A comma that ends a setting; others are parts of file names.
    ends = re.compile(rf",(?=\w+=|(?:{'|'.join(words)})(?:,|$))")
    found: dict[str, Any] = {}
    for part in ends.split(given):
        key, equals, text = part.partition("=")
        one = settings.get(key)
        if one is None or bool(equals) == (key in words):
            raise _fault(given, f"{part!r} is no setting of a region")
        if one.name in found:
            raise _fault(given, f"{key} is given twice")
        found[one.name] = _value(given, key, one, text) if equals else True
    for key, one in settings.items():
        if one.required and one.name not in found:
            raise _fault(given, f"{key} is missing")
    return RegionSpec(**found)


def _value(given: str, key: str, one: Setting, text: str) -> Any:
    try:
        return length(text) if one.is_length else one.kind(text)
    except ValueError as fault:
        kind = "a whole number" if one.kind is int else "a number"
        raise _fault(given, f"{key} is {text!r}, but must be {kind}") from fault


def _fault(given: str, what: str) -> SmaltiError:
    hint = f"Write it as {syntax()}."
    return SmaltiError(f"{named('regions')} {given}: {what}.", hint, "bad_region", setting="regions", value=given)
