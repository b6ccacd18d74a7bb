# SPDX-License-Identifier: GPL-3.0-or-later
"""Coarse to fine: on which pyramid levels of the canvas the first steps are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class PyramidSettings:
    """When the canvas is smaller, and how much.

    Attributes:
        room: pixels a side that a sprite has for itself, at least, on a canvas that is smaller.
        levels_by_downscale: largest downscale -> fractions of the steps up to which the canvas is how many times
            smaller a side. A fourth to a third less time for the same picture (docs/fitting-measurements.md).
    """

    room: float = 8
    levels_by_downscale: Mapping[int, tuple[tuple[float, int], ...]] = field(
        default_factory=lambda: MappingProxyType(
            {
                1: (),
                2: ((0.3, 2),),
                4: ((0.15, 4), (0.4, 2)),
                8: ((0.1, 8), (0.25, 4), (0.45, 2)),
            }
        )
    )

    def levels(self, size: tuple[int, int], sprites: int) -> tuple[tuple[float, int], ...]:
        """For a canvas of this height and width with `sprites` sprites: see `OptimiserSettings.pyramid`."""
        room = (size[0] * size[1] / max(sprites, 1)) ** 0.5
        possible = [downscale for downscale in self.levels_by_downscale if room >= self.room * downscale]
        return self.levels_by_downscale[max(possible, default=1)]
