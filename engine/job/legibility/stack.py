# SPDX-License-Identifier: GPL-3.0-or-later
"""What each pixel of a stack of sprites is made of: how many sprites mix in it, and whether one of them prevails.

It needs each sprite's alpha alone, so that layers of a file can be measured as well as a composition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, Float32Array, Float64Array, FloatArray

HALF = 0.5
"""Coverage from which a pixel counts as covered, alpha from which a sprite counts as lying on it, and the weight above
which the pixel is the sprite's own."""


@dataclass(frozen=True)
class StackFigures:
    """What `Stack` found.

    Attributes:
        owned: share of the covered pixels to whose color one sprite gives more than half.
        mixed: of the covered pixels, the median of one over the sum of the squared weights of the sprites and of what
            shows through them: how many layers are seen at once; 1 for an opaque sprite.
        bare: share of the canvas where the alphas of the sprites add up to less than one half, without what may be
            empty.
        layers: mean number of sprites that lie on a covered pixel, whether they are seen or hidden.

    `owned`, `mixed` and `layers` are nan where no pixel is covered; `bare` is 0 where everything may be empty.
    """

    owned: float
    mixed: float
    bare: float
    layers: float


class Stack:
    """Sprites on a canvas, added from the top of the stack to its bottom.

    Args:
        height, width: of the canvas, pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.size = height, width
        self._transmittance = np.ones((height, width), np.float32)
        self._squares = np.zeros((height, width), np.float32)
        self._largest = np.zeros((height, width), np.float32)
        self._alphas = np.zeros((height, width), np.float32)
        self._count = np.zeros((height, width), np.int32)

    def add(self, left: int, top: int, alpha: FloatArray, opacity: float) -> float | None:
        """Add the next sprite below those that are there.

        Args:
            left, top: canvas pixel of the first column and row of `alpha`; may lie outside.
            alpha: [h, w] the sprite's own at full opacity, 0 to 1.
            opacity: 0 to 1.

        Returns:
            Its weight in the picture: alpha times opacity times transmittance above it, summed over canvas pixels.
            None for one that has nothing on the canvas.
        """
        height, width = self.size
        rows = slice(max(0, top), max(0, min(height, top + alpha.shape[0])))
        columns = slice(max(0, left), max(0, min(width, left + alpha.shape[1])))
        own = alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if not own.any():
            return None
        here = rows, columns
        shown = np.asarray(own * np.float32(opacity), np.float32)
        self._alphas[here] += shown
        self._count[here] += own >= HALF
        weight: Float32Array = shown
        weight *= self._transmittance[here]
        self._transmittance[here] -= weight
        np.maximum(self._largest[here], weight, out=self._largest[here])
        total = float(weight.sum(dtype=np.float64))
        weight *= weight
        self._squares[here] += weight
        return total

    def figures(self, may_be_empty: BoolArray | None = None) -> StackFigures:
        """What the stack came to.

        Args:
            may_be_empty: [height, width], where bare canvas is meant to be; None for nowhere.
        """
        covered = self._alphas >= HALF
        needed = np.ones(self.size, bool) if may_be_empty is None else ~may_be_empty
        bare = float((needed & ~covered).sum() / max(1, needed.sum()))
        if not covered.any():
            return StackFigures(np.nan, np.nan, bare, np.nan)
        through = np.asarray(self._transmittance[covered], np.float64)
        squares: Float64Array = self._squares[covered] + through**2
        return StackFigures(
            owned=float((self._largest[covered] > HALF).mean()),
            mixed=float(np.median(1 / squares)),
            bare=bare,
            layers=float(self._count[covered].mean()),
        )
