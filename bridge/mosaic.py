# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of mosaics: how bitmaps are used, and which are offered."""

from __future__ import annotations

from typing import Any

from .errors import named
from .settings import setting

max_uses: Any = setting(
    None,
    "Uses Max",
    "How many sprites may be made of one bitmap",
    none="any number",
    low=1,
    soft_high=100,
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
