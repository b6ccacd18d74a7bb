# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of sprites: a region's, or all that belong to none.

A sprite's group follows from its template: each group has templates of its own, the same ones twice where two groups
share them. So nothing that is kept or handed over needs to say which sprite belongs where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smalti.bridge.errors import named

from ..arrays import BoolArray, Float64Array, FloatArray, Int64Array, IntegerArray


@dataclass(frozen=True, eq=False)
class Group:
    """One group.

    Attributes:
        count: number of sprites.
        templates: its templates, as indices into those of all groups.
        size_range: smallest and largest longer side of a sprite, canvas pixels.
        mask: [H, W] where the sprites' centers are; None for anywhere.
        inside: [2 H, 2 W] where they draw, see `smalti.engine.fitting.constraints.region.Region`; None for anywhere.
        name: what messages call the part of the canvas that is left for it.
        smallest: what messages call the setting of its smallest size (see `smalti.bridge.errors.named`).
    """

    count: int
    templates: range
    size_range: tuple[float, float]
    mask: BoolArray | None = None
    inside: BoolArray | None = None
    name: str = "the part of the canvas that is left for sprites"
    smallest: str = named("min_size")

    def members(self, template: IntegerArray) -> Int64Array:
        """The indices of those of sprites with these templates [N] that are of this group."""
        return np.flatnonzero((template >= self.templates.start) & (template < self.templates.stop))

    def within(self, plane: Float64Array) -> Float64Array:
        """A plane [H, W], 0 outside the group's mask."""
        return plane if self.mask is None else plane * self.mask

    def holds(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """[N]: whether centers are within the group's mask; beyond the canvas that is as at its edge."""
        if self.mask is None:
            return np.ones(len(x), bool)
        height, width = self.mask.shape
        column = np.clip(np.floor(x), 0, width - 1).astype(np.int64)
        row = np.clip(np.floor(y), 0, height - 1).astype(np.int64)
        held: BoolArray = self.mask[row, column]
        return held
