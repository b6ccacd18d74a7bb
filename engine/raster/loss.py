# SPDX-License-Identifier: GPL-3.0-or-later
"""A loss other than the plain squared error: a sum of terms that the kernels know, and of others written in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..arrays import Float32Array

PIXEL_TERMS = ("mse", "l1", "huber", "oklab")
"""Terms that look at one pixel alone, in the order of `PixelFactors` in engine/kernels/pixel_loss.h."""
NEIGHBOURHOOD_TERMS = ("ssim", "ms_ssim", "edges")
"""Terms that look at a pixel's neighborhood, in the order of `NeighbourhoodFactors` in engine/cpu/picture_loss.h."""
ALPHA = "alpha"
"""The term that compares the sprites' own alpha with the target's."""
KERNEL_TERMS = (*PIXEL_TERMS, *NEIGHBOURHOOD_TERMS, ALPHA)

OtherTerms = Callable[[Float32Array, Float32Array], tuple[float, Float32Array]]
"""From the rendered picture and its goal, [3, height, width] display-encoded each, to a value and its gradient
[3, height, width] by the rendered picture."""


@dataclass(frozen=True, eq=False)
class StepLoss:
    """What a step minimizes, over an opaque background.

    Attributes:
        factors: of the kernels' terms, by the names in `KERNEL_TERMS`. Each term is the mean over pixels (and channels;
            oklab and alpha have one) of what its row in `smalti.bridge.loss.TERMS` says.
        weights: [height, width] how much each pixel counts; None for all alike.
        target_alpha: [height, width], for the term alpha.
        other: further terms; None where there are none.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    weights: Float32Array | None = None
    target_alpha: Float32Array | None = None
    other: OtherTerms | None = None

    def of(self, names: tuple[str, ...]) -> tuple[float, ...]:
        """The factors of these terms, 0 for one that plays no part."""
        return tuple(self.factors.get(name, 0.0) for name in names)

    @property
    def needs_picture(self) -> bool:
        """Whether the whole picture must be drawn before it can be differentiated."""
        return self.other is not None or any(self.of(NEIGHBOURHOOD_TERMS))
