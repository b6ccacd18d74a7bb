# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures at another size: whole ones, and rows of them to the same bits."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..arrays import Float32Array, FloatArray, UInt8Array
from .images import premultiply


def resize(rgba: UInt8Array | FloatArray, width: int, height: int) -> Float32Array:
    """Resample a picture (Lanczos, on premultiplied values).

    Args:
        rgba: [H, W, 4], straight alpha, sRGB-encoded; uint8 from 0 to 255 or float from 0 to 1.

    Returns:
        [height, width, 4], premultiplied, 0 to 1, no color above its alpha.
    """
    if rgba.dtype == np.uint8:
        source = premultiply(rgba.astype(np.uint8, copy=False))
    else:
        source = rgba.astype(np.float32)
        source[..., :3] *= source[..., 3:]
    if source.shape[:2] == (height, width):
        return source
    result = np.empty((height, width, 4), np.float32)
    for channel in range(4):
        plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
        # The width first, as in `resized_rows`: Pillow's own order depends on its version and the sizes.
        wide = plane.resize((width, plane.height), Image.Resampling.LANCZOS)
        result[..., channel] = np.asarray(wide.resize((width, height), Image.Resampling.LANCZOS))
    return _within_bounds(result, bool(np.all(rgba[..., 3] == (255 if rgba.dtype == np.uint8 else 1))))


def _within_bounds(rgba: Float32Array, is_opaque: bool) -> Float32Array:
    """A resampled picture [H, W, 4], premultiplied, clipped to 0 to 1 in place, with no color above its alpha.

    The filter's weights sum to 1 only within rounding: an opaque picture stays exactly opaque.
    """
    np.clip(rgba, 0, 1, out=rgba)
    if is_opaque:
        rgba[..., 3] = 1
    for channel in range(3):
        np.minimum(rgba[..., channel], rgba[..., 3], out=rgba[..., channel])
    return rgba


def resized_rows(rgba: UInt8Array, width: int, height: int, rows: range) -> Float32Array:
    """Some rows of what `resize` makes of a picture, without making the others.

    Args:
        rgba: [H, W, 4], straight alpha, sRGB-encoded.
        rows: of the `height` rows of the result, without gaps.

    Returns:
        [len(rows), width, 4], as `resize`.
    """
    if rgba.shape[:2] == (height, width):
        return premultiply(rgba[rows.start : rows.stop])
    taps = [lanczos_taps(rgba.shape[0], height, row) for row in rows]
    first, last = taps[0][0], max(start + len(weights) for start, weights in taps)
    source = premultiply(rgba[first:last])
    result = np.empty((len(rows), width, 4), np.float32)
    for channel in range(4):
        plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
        wide = np.asarray(plane.resize((width, last - first), Image.Resampling.LANCZOS), dtype=np.float64)
        for row, (start, weights) in zip(result[..., channel], taps):
            total = np.zeros(width)
            for above, weight in enumerate(weights, start - first):
                total += wide[above] * weight
            row[:] = total
    return _within_bounds(result, bool((rgba[..., 3] == 255).all()))


def lanczos_taps(old: int, new: int, index: int) -> tuple[int, list[float]]:
    """The first of `old` entries that entry `index` of `new` is made of, and the weights of that and those after it.

    In the arithmetic of Pillow, so that sums come to the same bits.
    """
    scale = old / new
    stretch = max(scale, 1.0)
    center, support = (index + 0.5) * scale, 3 * stretch
    start, stop = max(0, int(center - support + 0.5)), min(old, int(center + support + 0.5))

    def sinc(x: float) -> float:
        return math.sin(x * math.pi) / (x * math.pi) if x else 1.0

    def lanczos(x: float) -> float:
        return sinc(x) * sinc(x / 3) if -3 <= x < 3 else 0.0

    weights = [lanczos((k - center + 0.5) * (1.0 / stretch)) for k in range(start, stop)]
    total = 0.0
    for weight in weights:  # one after another: sum() is more exact
        total += weight
    return start, [weight / total for weight in weights]
