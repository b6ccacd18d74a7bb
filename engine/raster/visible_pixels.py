# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sprites show at which pixels, and how much: what of a picture belongs to whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import AnyArray, Float32Array, Float64Array, FloatArray, Int32Array, Int64Array
from .backends import pixel_weights_of
from .scene import Scene

LEAST = 1 / 255
"""What no pixel of eight bits shows."""


@dataclass(frozen=True, eq=False)
class PixelWeights:
    """The blending weights of N sprites at the pixels of a picture of W columns, sprite by sprite.

    Attributes:
        start: [N + 1]: those of sprite k are the ones from start[k] to start[k + 1].
        pixel: [M] row * W + column.
        weight: [M] alpha times the transmittance of what lies above, 0 to 1.
        width: W.
    """

    start: Int64Array
    pixel: Int32Array
    weight: Float32Array
    width: int

    def __len__(self) -> int:
        return len(self.start) - 1

    @cached_property
    def sprite(self) -> Int64Array:
        """[M]: whose each is."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @cached_property
    def visible(self) -> Float64Array:
        """[N]: how much of each sprite is seen, in pixels."""
        return self.sums(self.weight)

    def take(self, which: Int64Array) -> PixelWeights:
        """Those of the sprites `which`, in ascending order, numbered from 0."""
        length = np.diff(self.start)
        chosen = np.zeros(len(self), np.bool_)
        chosen[which] = True
        kept = np.repeat(chosen, length)
        start = np.concatenate([[0], np.cumsum(length[which])])
        return PixelWeights(start, self.pixel[kept], self.weight[kept], self.width)

    def sums(self, values: FloatArray) -> Float64Array:
        """[N]: the sum over each sprite's entries of values [M]."""
        return np.bincount(self.sprite, values.astype(np.float64), len(self)).astype(np.float64)

    def means(self, plane: AnyArray, unseen: float = 0.0) -> Float64Array:
        """[N]: the mean of a plane [H, W] over what is seen of each sprite; `unseen` where that is nothing."""
        total = self.sums(self.weight * plane.reshape(-1)[self.pixel])
        return np.where(self.visible > 0, total / np.maximum(self.visible, 1e-12), unseen)


def pixel_weights(scene: Scene[AnyArray], least: float = LEAST) -> PixelWeights:
    """All blending weights of at least `least` at the pixels of a scene of NumPy arrays.

    The CPU finds them, whatever device a fit uses: it is as much work as drawing the picture once.
    """
    return PixelWeights(*pixel_weights_of(scene, least), scene.size[1])
