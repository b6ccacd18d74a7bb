# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sprite's parameters to the affine map that the rasteriser takes, and a gradient's way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float64Array


def half_sizes(scale: Float64Array, aspect: Float64Array, shape: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Half the width and half the height of sprites on the canvas, before rotation.

    Args:
        scale: [N] half of the longer side, canvas pixels.
        aspect: [N] log of extra width over height.
        shape: [N, 2] width and height of each sprite's template, any unit.
    """
    longer = shape.max(axis=1)
    return (
        scale * shape[:, 0] / longer * np.exp(0.5 * aspect),
        scale * shape[:, 1] / longer * np.exp(-0.5 * aspect),
    )


def affine_maps(
    x: Float64Array,
    y: Float64Array,
    scale: Float64Array,
    aspect: Float64Array,
    theta: Float64Array,
    shape: Float64Array,
) -> Float64Array:
    """[N, 6] maps (a, b, c, d, e, f) from canvas pixels to template coordinates.

    u = a x + b y + c runs along the template's width, v = d x + e y + f down its height; both go from -1 to 1 over it.

    Args:
        x, y: [N] center, canvas pixels, x right, y down.
        scale, aspect, shape: see `half_sizes`.
        theta: [N] radians, positive turns +x towards +y.
    """
    half_width, half_height = half_sizes(scale, aspect, shape)
    cos, sin = np.cos(theta), np.sin(theta)
    a, b = cos / half_width, sin / half_width
    d, e = -sin / half_height, cos / half_height
    return np.stack([a, b, -(a * x + b * y), d, e, -(d * x + e * y)], axis=1)


@dataclass(frozen=True, eq=False)
class PoseGradient:
    """A gradient by what places a sprite, [N] each: canvas pixels, the logarithm of the scale, radians."""

    x: Float64Array
    y: Float64Array
    log_scale: Float64Array
    theta: Float64Array


def pose_gradient(affine: Float64Array, by_affine: Float64Array) -> PoseGradient:
    """The chain rule of `affine_maps` (as in engine/kernels/parameters.h).

    Args:
        affine: [N, 6] maps.
        by_affine: [N, 6] a gradient by them.
    """
    a, b, c, d, e, f = affine.T
    by_a, by_b, by_c, by_d, by_e, by_f = by_affine.T
    determinant = a * e - b * d
    x, y = (b * f - e * c) / determinant, (d * c - a * f) / determinant
    # About the sprite's center, which stays where it is when it turns or grows.
    by_a, by_b, by_d, by_e = by_a - x * by_c, by_b - y * by_c, by_d - x * by_f, by_e - y * by_f
    return PoseGradient(
        x=-(a * by_c + d * by_f),
        y=-(b * by_c + e * by_f),
        log_scale=-(a * by_a + b * by_b + d * by_d + e * by_e),
        theta=a * by_b - b * by_a + d * by_e - e * by_d,
    )
