# SPDX-License-Identifier: GPL-3.0-or-later
"""The atlas: every template's mip pyramid in one array that all back ends read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import (
    AnyArray,
    Float32Array,
    Float64Array,
    FloatArray,
    Int32Array,
    Int64Array,
    IntegerArray,
    UInt16Array,
    UInt64Array,
)
from ..colour import LUMA

MARGIN = 2
"""Transparent texels stored around every level (`kMargin` in engine/kernels/sprite.h, where the reason stands)."""

LOD_OFFSET = -0.6
"""Added to the level of detail (`kLodOffset` in engine/kernels/sprite.h, where the reason stands)."""

TEXELS_PER_PIXEL = 2 ** (-LOD_OFFSET)
"""Texels that a sprite samples per pixel of its length, where its template has them."""

TEXEL_ONE = 65535

BYTES_PER_TEXEL = 16
"""Of an atlas with its alpha quads."""

MAX_STORED = 2**30 - 1
"""Texels of an atlas, at most: kernels number them with 32 bits."""

BLOCK = 2**18
"""Numbers that are resampled together."""


def area_resample(plane: FloatArray, length: int, axis: int) -> Float64Array:
    """Shrink `plane` along `axis` to `length` entries, each the exact mean over the interval that it covers.

    The outer edges stay where they are, whatever the ratio, so that all levels of a pyramid cover the same square.
    """
    if plane.ndim == 1:
        return _resampled(plane, length)
    source = np.moveaxis(plane, axis, 0)
    result = np.empty((length, *source.shape[1:]))
    # A few columns at a time: the integral of a large bitmap would be many times its size.
    together = max(1, BLOCK * source.shape[1] // source.size)
    for first in range(0, source.shape[1], together):
        result[:, first : first + together] = _resampled(source[:, first : first + together], length)
    return np.moveaxis(result, 0, axis)


def _resampled(source: FloatArray, length: int) -> Float64Array:
    """`area_resample` along the first axis."""
    old = source.shape[0]
    # The integral from the first edge, and its value at the new edges by linear interpolation: the plane is a step
    # function.
    integral = np.cumsum(source, axis=0, dtype=np.float64)
    integral = np.concatenate([np.zeros_like(integral[:1]), integral])
    edges = np.linspace(0.0, old, length + 1)
    below = np.minimum(edges.astype(np.int64), old - 1)
    fraction = (edges - below).reshape(-1, *[1] * (source.ndim - 1))
    at_edges = integral[below] + fraction * (integral[below + 1] - integral[below])
    return np.asarray(np.diff(at_edges, axis=0) * (length / old))


@dataclass(frozen=True, eq=False)
class Atlas:
    """Mip pyramids of T templates.

    Attributes:
        texels: [K, 4] uint16, premultiplied RGBA in the blend space of the composition, 65535 is 1. Each level is
            stored row by row with a transparent margin of `MARGIN` texels on every side.
        levels: [L, 3] int32: index of the level's first stored texel, its width, its height (both without margin).
        first_level: [T + 1] int32: template t owns levels first_level[t] to first_level[t + 1] - 1, finest first.
            Every level is half the one before, rounded up, and the last is a single texel.
        luma: [T] float32: the mean luma of each template's colors, weighted by alpha; 0 where it is empty.
    """

    texels: UInt16Array
    levels: Int32Array
    first_level: Int32Array
    luma: Float32Array

    @property
    def count(self) -> int:
        """Number of templates, T."""
        return len(self.first_level) - 1

    @cached_property
    def alpha_quads(self) -> UInt64Array:
        """[K] uint64: the alphas of the four texels of a lookup that begins at each texel (see `fetch_alphas`)."""
        quads = np.zeros(len(self.texels), np.uint64)
        for base, width, height in self.levels.tolist():
            columns, rows = width + 2 * MARGIN, height + 2 * MARGIN
            alpha = self.texels[base : base + columns * rows, 3].reshape(rows, columns)
            quads[base : base + columns * rows] = quads_of(alpha).reshape(-1)
        return quads

    @property
    def words(self) -> UInt64Array:
        """[K] uint64: each texel's four channels in one word, red lowest (a view on little-endian processors)."""
        return self.texels.astype("<u2", copy=False).view("<u8").reshape(-1)


def quads_of(alpha: UInt16Array) -> UInt64Array:
    """`Atlas.alpha_quads` of one level, from its alphas, both [rows, columns], margins included."""
    level = alpha.astype(np.uint64)
    quad = level.copy()
    quad[:, :-1] |= level[:, 1:] << np.uint64(16)
    quad[:-1] |= level[1:] << np.uint64(32)
    quad[:-1, :-1] |= level[1:, 1:] << np.uint64(48)
    return quad


def texels_for(length: float) -> int:
    """Texels on the longer side that a sprite of this longer side can show, in pixels that are drawn.

    A power of two, so that few atlases are built.
    """
    return int(2 ** np.ceil(np.log2(max(length * TEXELS_PER_PIXEL, 16.0))))


def build_atlas(bitmaps: Sequence[FloatArray], largest: int | None = None) -> Atlas:
    """Build the pyramids.

    Args:
        bitmaps: each [height, width, 4], premultiplied, 0 to 1, in the blend space of the composition.
        largest: longer side, in texels, above which no level is kept. A sprite needs `TEXELS_PER_PIXEL` for each of its
            pixels. None keeps all.

    Raises:
        ValueError: no bitmaps, or one that is empty or not RGBA.
    """
    if not bitmaps:
        raise ValueError("an atlas needs at least one bitmap")
    shapes, luma = [], []
    for bitmap in bitmaps:  # each once, as it may be made when it is read
        if bitmap.ndim != 3 or bitmap.shape[2] != 4 or 0 in bitmap.shape:
            raise ValueError(f"a bitmap must have shape [height, width, 4], not {bitmap.shape}")
        shapes.append((bitmap.shape[1], bitmap.shape[0]))
        luma.append(mean_luma(bitmap))
    stored = int(stored_texels(np.array(shapes), largest).sum())
    if stored > MAX_STORED:
        raise ValueError("the bitmaps are too large together for one atlas")
    texels = np.empty((stored, 4), np.uint16)
    levels: list[tuple[int, int, int]] = []
    first_level = [0]
    at = 0
    for bitmap in bitmaps:
        for padded in pyramid(bitmap, largest):
            height, width, _ = padded.shape
            texels[at : at + height * width] = padded.reshape(-1, 4)
            levels.append((at, width - 2 * MARGIN, height - 2 * MARGIN))
            at += height * width
        first_level.append(len(levels))
    return Atlas(texels, np.array(levels, np.int32), np.array(first_level, np.int32), np.array(luma, np.float32))


def pyramid(bitmap: FloatArray, largest: int | None = None) -> Iterator[UInt16Array]:
    """The levels of one bitmap as `Atlas.texels` has them, [height, width, 4] with their margins, finest first.

    Args:
        bitmap, largest: as `build_atlas`.
    """
    level: AnyArray = bitmap
    height, width = level.shape[:2]
    if largest is not None and max(height, width) > largest:
        scale = largest / max(height, width)
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
    while True:
        if level.shape[0] != height:
            level = area_resample(level, height, 0)
        if level.shape[1] != width:
            level = area_resample(level, width, 1)
        padded = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN, 4), np.uint16)
        rounded = np.clip(level, 0.0, 1.0)
        rounded *= TEXEL_ONE
        padded[MARGIN:-MARGIN, MARGIN:-MARGIN] = np.rint(rounded, out=rounded)
        del rounded
        yield padded
        if width == height == 1:
            return
        width, height = (width + 1) // 2, (height + 1) // 2


def stored_texels(shapes: IntegerArray, largest: int | None = None) -> Int64Array:
    """[T]: texels that the pyramids of templates take in an atlas, margins included.

    Args:
        shapes: [T, 2] width and height of each template.
        largest: as `build_atlas`.
    """
    sides = np.asarray(shapes, np.int64)
    if largest is not None:
        factor = np.minimum(1.0, largest / sides.max(axis=1, keepdims=True))
        sides = np.maximum(1, np.rint(sides * factor).astype(np.int64))
    total = np.zeros(len(sides), np.int64)
    is_left = np.ones(len(sides), bool)
    while is_left.any():
        total += is_left * (sides + 2 * MARGIN).prod(axis=1)
        is_left &= sides.max(axis=1) > 1
        sides = (sides + 1) // 2
    return total


def mean_luma(bitmap: FloatArray) -> float:
    """The mean luma of a bitmap [height, width, 4], premultiplied, weighted by alpha; 0 where it is empty."""
    *color, alpha = bitmap.reshape(-1, 4).sum(axis=0, dtype=np.float64)
    return float(np.dot(LUMA, color) / max(alpha, 1e-9))
