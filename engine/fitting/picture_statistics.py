# SPDX-License-Identifier: GPL-3.0-or-later
"""Local statistics of pictures: means over windows, saliency, and the direction of edges."""

from __future__ import annotations

import numpy as np

from ..arrays import Float64Array, FloatArray


def box_mean(picture: FloatArray, radius: int) -> Float64Array:
    """Mean over a window of 2 radius + 1 pixels a side; edges repeat. picture [H, W] or [H, W, C]."""
    if picture.ndim == 2:
        return _box_mean(picture.astype(np.float64), radius)
    result = np.empty(picture.shape)
    for channel in range(picture.shape[2]):  # one by one, for the sake of memory
        result[..., channel] = _box_mean(picture[..., channel].astype(np.float64), radius)
    return result


def _box_mean(plane: Float64Array, radius: int) -> Float64Array:
    """`box_mean` of a plane [H, W]."""
    window = 2 * radius + 1
    for _ in (0, 1):
        sums = np.cumsum(np.pad(plane, [(radius + 1, radius), (0, 0)], mode="edge"), axis=0)
        plane = ((sums[window:] - sums[:-window]) / window).swapaxes(0, 1)
    return plane


def saliency(picture: Float64Array) -> Float64Array:
    """Local contrast of a picture [H, W, C]: [H, W] from 0 to 1, where the strongest 5 % of the pixels are at 1.

    The standard deviation over two sizes of window, summed over the channels.
    """
    total = np.zeros(picture.shape[:2])
    for radius in (2, max(3, min(picture.shape[:2]) // 64)):
        mean = box_mean(picture, radius)
        total += np.sqrt(np.maximum(box_mean(picture**2, radius) - mean**2, 0).sum(axis=2))
    top = np.quantile(total, 0.95)
    return np.clip(total / top, 0, 1) if top > 1e-6 else np.zeros_like(total)


def edge_orientation(picture: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Structure tensor of a picture [H, W, C].

    Returns:
        The direction along edges [H, W] in radians, and its coherence [H, W] from 0 (none) to 1 (a straight edge).
    """
    dy, dx = np.gradient(picture, axis=(0, 1))
    radius = max(2, min(picture.shape[:2]) // 100)
    xx, yy, xy = (box_mean(p.sum(axis=2), radius) for p in (dx * dx, dy * dy, dx * dy))
    along = 0.5 * np.arctan2(2 * xy, xx - yy) + 0.5 * np.pi
    return along, np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-4)
