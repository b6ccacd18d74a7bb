# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts of a picture at the poses of sprites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float32Array, Float64Array, Int64Array

SIDE = 32
"""Texels of a cut, a side."""
REACH = 1.25
"""A cut's size over that of its sprite."""
TOGETHER = 16
"""Sprites that are cut out together; all of them at once would take more memory than the fit has left."""
MOST_TAPS = 16
"""Samples, at most, along one side of a cut's texel."""


@dataclass(frozen=True, eq=False)
class Cuts:
    """Pieces of a picture, in the coordinates of the sprites that lie there.

    Attributes:
        values: [C, M, SIDE * SIDE] channels; 0 off the canvas.
        weight: [M, SIDE * SIDE] how much of each texel lies on the canvas, 0 to 1.
    """

    values: Float32Array
    weight: Float32Array


def cuts_at(picture: Float32Array, affine: Float64Array) -> Cuts:
    """What a picture shows at the poses of M sprites, averaged over the texels of a square of `REACH` times their box.

    Args:
        picture: [height, width, C].
        affine: [M, 6] maps from its pixels to the sprites' coordinates (see `smalti.engine.raster.geometry`).
    """
    values = np.zeros((picture.shape[2], len(affine), SIDE * SIDE), np.float32)
    weight = np.zeros((len(affine), SIDE * SIDE), np.float32)
    back = _inverse(affine)
    steps = np.hypot(back[:, :, 0], back[:, :, 1]) * (2 * REACH / SIDE)
    # The level whose pixels suit the shorter side of a texel; several samples along its longer side.
    deepest = max(0, int(np.log2(min(picture.shape[:2]))) - 1)
    level = np.clip(np.floor(np.log2(np.maximum(steps.min(axis=1), 1e-9))), 0, deepest).astype(np.int64)
    taps = np.clip(np.rint(steps / 2.0 ** level[:, None]), 1, MOST_TAPS).astype(np.int64)
    reduced = picture
    for depth in range(int(level.max(initial=0)) + 1):
        for count in np.unique(taps[level == depth], axis=0):
            every = np.flatnonzero((level == depth) & (taps == count).all(axis=1))
            for first in range(0, len(every), TOGETHER):
                which = every[first : first + TOGETHER]
                values[:, which], weight[which] = _sampled(reduced, depth, back[which], count, picture.shape[:2])
        reduced = _halved(reduced)
    return Cuts(values, weight)


def _inverse(affine: Float64Array) -> Float64Array:
    """[M, 3, 2]: for x and y, what a step along u and one along v adds, and where the center is."""
    a, b, c, d, e, f = affine.T
    determinant = a * e - b * d
    rows = [[e, -d], [-b, a], [b * f - e * c, d * c - a * f]]
    return np.moveaxis(np.array(rows) / determinant, 2, 0)


def _halved(picture: Float32Array) -> Float32Array:
    """Means of blocks of 2 x 2 pixels of [H, W, C]; the last row or column of an odd number counts twice."""
    height, width = (-(-side // 2) * 2 for side in picture.shape[:2])
    even = np.pad(picture, ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)), mode="edge")
    rows = even[0::2] + even[1::2]
    return np.asarray((rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25))


def _sampled(
    picture: Float32Array, depth: int, back: Float64Array, taps: Int64Array, canvas: tuple[int, ...]
) -> tuple[Float32Array, Float32Array]:
    """`Cuts.values` and `Cuts.weight` of some sprites from one level of the picture.

    Args:
        picture: the level, [h, w, C].
        depth: how often the picture was halved for it.
        back: [M, 3, 2], of `_inverse`.
        taps: samples of a texel along u and along v.
        canvas: height and width of the picture, pixels.
    """
    across, down = int(taps[0]), int(taps[1])
    u = ((np.arange(SIDE * across) + 0.5) / (SIDE * across) * 2 - 1) * REACH
    v = ((np.arange(SIDE * down) + 0.5) / (SIDE * down) * 2 - 1) * REACH
    grid = np.stack(np.broadcast_arrays(u[None, :], v[:, None], 1.0), axis=-1).reshape(-1, 3)
    x, y = np.moveaxis(grid @ back, 2, 0)
    inside = (x > 0) & (x < canvas[1]) & (y > 0) & (y < canvas[0])
    found = _bilinear(picture, x / 2**depth - 0.5, y / 2**depth - 0.5)
    if inside.all() and across == down == 1:
        return np.moveaxis(found, 2, 0), inside.astype(np.float32)
    found *= inside[..., None]

    def texels(samples: Float32Array) -> Float32Array:
        """[C, M, SIDE * SIDE] of samples [M, points, C]."""
        cells = samples.reshape(len(back), SIDE, down, SIDE, across, -1).mean(axis=(2, 4), dtype=np.float32)
        return np.asarray(np.moveaxis(cells.reshape(len(back), SIDE * SIDE, -1), 2, 0))

    weight = texels(inside[..., None].astype(np.float32))[0]
    return texels(found) / np.maximum(weight, np.float32(1e-6)), weight


def _bilinear(picture: Float32Array, x: Float64Array, y: Float64Array) -> Float32Array:
    """[..., C]: a picture [H, W, C] between its pixels, whose centers have whole coordinates here."""
    height, width, channels = picture.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    np.minimum(left, max(0, width - 2), out=left)
    np.minimum(top, max(0, height - 2), out=top)
    right, low = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
    pixels = picture.reshape(-1, channels)
    first = top * width + left
    beside, below = min(1, width - 1), width * min(1, height - 1)
    result = np.asarray(pixels[first] * ((1 - right) * (1 - low)))
    result += pixels[first + beside] * (right * (1 - low))
    result += pixels[first + below] * ((1 - right) * low)
    result += pixels[first + below + beside] * (right * low)
    return result
