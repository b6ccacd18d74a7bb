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
        weights: how often sprites are made of each of its templates, as shares of 1; None for equally often.
        name: what messages call the part of the canvas that is left for it.
        smallest: what messages call the setting of its smallest size (see `smalti.bridge.errors.named`).
    """

    count: int
    templates: range
    size_range: tuple[float, float]
    mask: BoolArray | None = None
    inside: BoolArray | None = None
    weights: Float64Array | None = None
    name: str = "the part of the canvas that is left for sprites"
    smallest: str = named("min_size")

    def members(self, template: IntegerArray) -> Int64Array:
        """The indices of those of sprites with these templates [N] that are of this group."""
        return np.flatnonzero((template >= self.templates.start) & (template < self.templates.stop))

    def dealt(self, count: int, rng: np.random.Generator) -> Int64Array:
        """Templates for `count` sprites, each as often as it should be, in any order."""
        first, number = self.templates.start, len(self.templates)
        if self.weights is None:
            return first + rng.permutation(np.arange(count) % number)
        # Each has its share of the sprites to within one.
        return first + rng.permutation(self._at((np.arange(count) + rng.uniform()) / max(count, 1)))

    def drawn(self, count: int, rng: np.random.Generator) -> Int64Array:
        """Templates for `count` sprites, each by itself."""
        if self.weights is None:
            return rng.integers(self.templates.start, self.templates.stop, count)
        return self.templates.start + self._at(rng.uniform(size=count))

    def _at(self, share: Float64Array) -> Int64Array:
        """The template at each share, 0 to 1, of all their weights together, counted from the group's first."""
        assert self.weights is not None
        found: Int64Array = np.searchsorted(np.cumsum(self.weights), share, side="right")
        return np.minimum(found, len(self.templates) - 1)

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
