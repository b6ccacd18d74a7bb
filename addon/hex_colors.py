# SPDX-License-Identifier: GPL-3.0-or-later
"""Colors as jobs have them, #rrggbb in sRGB. Knows no Blender, for the reason that labels.py gives."""

from __future__ import annotations

from collections.abc import Iterable


def code_of(color: Iterable[float]) -> str:
    """The code of a color in sRGB, whose parts are from 0 to 1; what lies beyond is cut off."""
    return "#" + "".join(f"{round(min(max(part, 0.0), 1.0) * 255):02x}" for part in color)


def color_of(code: str) -> list[float]:
    """The color of a code, in sRGB from 0 to 1."""
    return [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
