# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of mosaics: how bitmaps are used, which are offered, and tiles in a grid."""

from __future__ import annotations

import re
from typing import Any

from .errors import named
from .settings import setting, share

GRID = "columns x rows, such as 40x30"
MAX_SIDE = 1000
"""Of a grid, tiles."""


def grid_of(text: str) -> tuple[int, int] | None:
    """Columns and rows of a grid; None where the text is none."""
    found = re.fullmatch(r"\s*(\d{1,4})\s*x\s*(\d{1,4})\s*", text)
    columns, rows = map(int, found.groups()) if found else (0, 0)
    return (columns, rows) if 1 <= columns <= MAX_SIDE and 1 <= rows <= MAX_SIDE else None


def grid_rule(text: str) -> str:
    """Of the tiles of a grid."""
    return "" if grid_of(text) else f"{GRID}, each from 1 to {MAX_SIDE}"


max_uses: Any = setting(
    None,
    "Max Uses",
    "How many sprites may be made of one bitmap",
    none="any number",
    low=1,
    soft_high=100,
    begin=10,
    page="limits",
)
use_all: Any = setting(
    False, "Use All", "Every bitmap is used before any is used again, and all as often as each other", page="limits"
)
min_distance: Any = setting(
    0.0,
    "Copies Apart",
    "Least distance between the centers of two sprites of one bitmap",
    low=0,
    soft_high=500,
    unit="pixels",
    page="limits",
)
mirror: Any = setting(
    False, "Mirror", f"Every bitmap of {named('primitives')} is offered mirrored too, and counts as the same"
)
grid: Any = setting(
    None,
    "Grid",
    "Sprites are upright tiles of one size in a grid of columns x rows, such as 40x30, cropped to fill it",
    none="none",
    check=grid_rule,
    page="limits",
)
grid_jitter: Any = share(
    "Grid Jitter", "How loosely tiles lie in their grid: shifted and turned, at random", page="limits"
)
scraps: Any = setting(
    None,
    "Scraps",
    "Number of pieces with torn edges that are cut out of the bitmaps, to build with instead of them",
    none="bitmaps are whole",
    low=1,
    high=10_000,
    soft_high=500,
    begin=100,
)
