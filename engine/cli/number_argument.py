# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers with a unit, and lists of numbers, as the command line takes them."""

from __future__ import annotations

from smalti.bridge.errors import bad_setting
from smalti.bridge.lengths import millimeters

DECIBELS = "dB"
"""The unit of likeness."""


def decibels(given: str) -> float:
    """The number of a text such as ``"28"``, ``"28dB"`` or ``"28 db"``. Raises ValueError."""
    text = given.strip()
    return float(text[: -len(DECIBELS)] if text.lower().endswith(DECIBELS.lower()) else text)


def length(given: str) -> float | str:
    """Pixels as a number, or a length on paper as it was given. Raises ValueError."""
    return given if millimeters(given) is not None else float(given)


def read_numbers(key: str, given: str) -> tuple[float, ...]:
    """The numbers of a list with commas between, ``"2,1"``.

    Args:
        key: of the setting, for messages.
        given: what was typed.

    Raises:
        SmaltiError: code ``"bad_setting"``: one is no number.
    """
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError as fault:
        raise bad_setting(key, given, "a list of numbers with commas between") from fault
