# SPDX-License-Identifier: GPL-3.0-or-later
"""Lengths on paper: ``"30cm"``, ``"5mm"``, ``"11.7in"``."""

from __future__ import annotations

import math
import re

MILLIMETERS = {"mm": 1.0, "cm": 10.0, "in": 25.4}
"""Of each unit."""
LENGTH = "a length such as 5mm, 0.5cm or 0.2in"

_LENGTH = re.compile(rf"\s*(\d+(?:\.\d*)?|\.\d+)\s*({'|'.join(MILLIMETERS)})\s*", re.IGNORECASE)


def millimeters(length: str) -> float | None:
    """A length on paper; None where the text is none, or nothing."""
    found = _LENGTH.fullmatch(length)
    if found is None:
        return None
    result = float(found[1]) * MILLIMETERS[found[2].lower()]
    return result if 0 < result < math.inf else None


def length_rule(length: str) -> str:
    """Of a length on paper."""
    return "" if millimeters(length) is not None else LENGTH
