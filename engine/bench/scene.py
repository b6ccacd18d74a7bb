# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes that are timed: random sprites from soft discs, and how many pixels they cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float32Array, Float64Array
from ..devices import BACK_ENDS
from ..sprites import Sprites

TEXELS = 64
"""Side of the discs, texels."""


@dataclass(frozen=True)
class Case:
    """A scene, and what draws it.

    Attributes:
        backend: a key of `smalti.engine.raster.BACK_ENDS`.
        threads: number of threads.
        sprites: number of sprites.
        size: side of the square canvas, pixels.
        half_size: mean half-size of a sprite, pixels; they are spread evenly over 0.3 to 1.7 times that.
        mix: color mix, 0 to 1.
    """

    backend: str
    threads: int
    sprites: int
    size: int
    half_size: float
    mix: float

    @property
    def is_gpu(self) -> bool:
        """Whether it is drawn by a GPU, which works on while Python goes on."""
        return is_gpu(self.backend)


def is_gpu(backend: str) -> bool:
    """Whether a back end is a GPU's."""
    return BACK_ENDS[backend].is_gpu


def disc(color: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Float32Array:
    """[64, 64, 4] premultiplied: a disc whose edge fades over the outer eighth of its radius."""
    y, x = np.mgrid[0:TEXELS, 0:TEXELS] + 0.5 - TEXELS / 2
    alpha = np.clip((1 - np.hypot(x, y) / (TEXELS / 2)) * 8, 0, 1)
    bitmap: Float32Array = (alpha[..., None] * np.array([*color, 1.0])).astype(np.float32)
    return bitmap


def discs() -> list[Float32Array]:
    """The four templates of every case."""
    return [disc(color) for color in ((0.9, 0.3, 0.2), (0.3, 0.7, 0.3), (0.3, 0.5, 0.9), (0.9, 0.8, 0.5))]


def random_sprites(case: Case) -> Sprites:
    """The case's sprites; always the same ones."""
    rng = np.random.default_rng(0)
    n = case.sprites
    return Sprites(
        template=rng.integers(0, len(discs()), n).astype(np.int32),
        x=rng.uniform(0, case.size, n),
        y=rng.uniform(0, case.size, n),
        scale=case.half_size * rng.uniform(0.3, 1.7, n),
        aspect=np.zeros(n),
        theta=rng.uniform(-np.pi, np.pi, n),
        opacity=rng.uniform(0.3, 0.9, n),
        tint=rng.uniform(0, 1, (n, 3)),
    )


def covered_pairs(affine: Float64Array, width: int, height: int) -> int:
    """The number of (sprite, pixel) pairs with the pixel's center on the canvas and inside the sprite's rectangle.

    Counted exactly, row by row: a rectangle's pixels in one row lie side by side.

    Args:
        affine: [N, 6] maps from the canvas to template coordinates, see `smalti.engine.raster.composite`.
        width, height: of the canvas.
    """
    total = 0
    for first in range(0, len(affine), 1024):  # bounds the memory for sprites as large as the canvas
        a, b, c, d, e, f = affine[first : first + 1024].T
        determinant = a * e - b * d
        middle, reach = (c * d - a * f) / determinant, (np.abs(a) + np.abs(d)) / np.abs(determinant)
        top = np.clip(np.ceil(middle - reach - 0.5), 0, height).astype(np.int64)
        rows = np.maximum(np.clip(np.floor(middle + reach - 0.5) + 1, 0, height).astype(np.int64) - top, 0)
        sprite = np.repeat(np.arange(len(a)), rows)
        y = top[sprite] + np.arange(len(sprite)) - (np.cumsum(rows) - rows)[sprite] + 0.5
        left: Float64Array = np.zeros(len(sprite))
        right: Float64Array = np.full(len(sprite), float(width))
        for slope, rest in ((a[sprite], b[sprite] * y + c[sprite]), (d[sprite], e[sprite] * y + f[sprite])):
            with np.errstate(divide="ignore", invalid="ignore"):  # an upright side: all of a row or nothing
                ends = (-1 - rest) / slope, (1 - rest) / slope
            left = np.maximum(left, np.fmin(*ends))
            right = np.minimum(right, np.fmax(*ends))
        left, right = np.clip(left, 0, width + 1), np.clip(right, -1, width)
        total += int(np.maximum(np.floor(right - 0.5) - np.ceil(left - 0.5) + 1, 0).sum())
    return total
