# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a region: a part of the canvas with sprites of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .settings import BITMAPS, IMAGE, row, setting, sprite_size

MAX_COUNT = 1_000_000
"""Sprites of a job, at most, those of its regions included."""


@dataclass(frozen=True)
class RegionSpec:
    """A part of the canvas with sprites of its own.

    They start there, their centers stay there (where the job's `keep_in`, `keep_out` and `inside_outline`, which come
    first, leave them room), and those that are moved elsewhere are moved within. At the start they lie above the job's
    other sprites, and those of a later region above those of an earlier one.

    A flag is what the command line's --region calls the setting.
    """

    mask: str = field(
        metadata=row(
            "Mask",
            "A gray picture, stretched over the canvas: the region is where it is white",
            path="file",
            rule=IMAGE,
        )
    )
    """White is half white or more."""
    count: int = field(
        metadata=row(
            "Count",
            "Number of sprites in the region, in addition to all others",
            low=1,
            high=MAX_COUNT,
            soft_high=5000,
        )
    )
    min_size: float | str | None = sprite_size(
        "Smallest Sprite",
        "Smallest longer side of a sprite on the canvas",
        "from the region's extent",
        begin=5,
        flag="min",
    )
    max_size: float | str | None = sprite_size(
        "Largest Sprite",
        "Largest longer side of a sprite on the canvas",
        "from the region's extent",
        begin=50,
        flag="max",
    )
    primitives: str | None = setting(
        None,
        "Bitmaps",
        "A folder of bitmaps and SVG drawings of this region, or one of them",
        none="the job's",
        path="folder",
        rule=BITMAPS,
    )
    confine: bool = setting(False, "Confine", "Draw nothing of the region's sprites outside of it")


def needs_bitmaps(count: int, of_regions: Iterable[str | None]) -> bool:
    """Whether a job needs bitmaps of its own: it has sprites outside of regions, or a region without bitmaps."""
    return count > 0 or not all(of_regions)
