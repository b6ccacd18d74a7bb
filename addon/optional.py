# SPDX-License-Identifier: GPL-3.0-or-later
"""The check boxes of numbers that may be left open. Knows no Blender, for the reason that labels.py gives.

What counts is the number itself, in which 0 stands for open, as it does in older files. Its check box is drawn from it;
while it is open, the panel shows in gray a second number, which is what it was before, or a good one to begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OPEN = 0
"""The value of a number's property where it is left open."""


def check_box_of(name: str) -> str:
    """The property that is the check box of a setting."""
    return f"use_{name}"


def kept_of(name: str) -> str:
    """The property that keeps the number of a setting while that is open."""
    return f"{name}_kept"


def reader(name: str) -> Callable[[Any], bool]:
    """What says whether the check box of a setting is set."""

    def is_given(owner: Any) -> bool:
        return bool(getattr(owner, name) != OPEN)

    return is_given


def writer(name: str) -> Callable[[Any, bool], None]:
    """What sets the check box of a setting."""

    def give(owner: Any, given: bool) -> None:
        if given == (getattr(owner, name) != OPEN):
            return
        if given:
            setattr(owner, name, getattr(owner, kept_of(name)))
        else:
            setattr(owner, kept_of(name), getattr(owner, name))
            setattr(owner, name, OPEN)

    return give


def taker(name: str) -> Callable[[Any, Any], None]:
    """What follows where the number in gray is changed: then the setting is meant."""

    def take(owner: Any, _context: Any) -> None:
        setattr(owner, name, getattr(owner, kept_of(name)))

    return take
