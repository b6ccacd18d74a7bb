# SPDX-License-Identifier: GPL-3.0-or-later
"""How alike colors look: in Oklab (Ottosson, 2020), where a wrong hue is worse than a wrong lightness."""

from __future__ import annotations

import numpy as np

from ...arrays import Float64Array, FloatArray, Int64Array
from ...colour import linear_from_srgb

_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(displayed: FloatArray) -> Float64Array:
    """[..., 3] lightness, a and b of sRGB-encoded colors [..., 3]; what is beyond 0 to 1 counts as its bound."""
    light = linear_from_srgb(np.clip(displayed, 0, 1)).astype(np.float64)
    return np.asarray(np.cbrt(light @ _CONES.T) @ _OPPONENTS.T)


def difference(one: Float64Array, other: Float64Array, hue_weight: Float64Array | float) -> Float64Array:
    """[...]: squared distance of colors [..., 3] in Oklab.

    Args:
        one, other: broadcast against each other.
        hue_weight: [...] or one number: factor of the distance that is due to the hues.
    """
    lightness, color = (one - other)[..., 0], (one - other)[..., 1:]
    chroma = np.hypot(one[..., 1], one[..., 2]) - np.hypot(other[..., 1], other[..., 2])
    hue = np.maximum((color**2).sum(axis=-1) - chroma**2, 0)
    return np.asarray(lightness**2 + chroma**2 + hue_weight**2 * hue)


def prevailing(pixels: FloatArray, colors: FloatArray, hue_weight: float) -> int:
    """The index of the color that most pixels look most like.

    Args:
        pixels: [P, 3] sRGB-encoded.
        colors: [C, 3] likewise.
        hue_weight: see `difference`.
    """
    shown = oklab(pixels)
    distance = np.stack([difference(shown, color, hue_weight) for color in oklab(colors)])
    counts: Int64Array = np.bincount(distance.argmin(axis=0), minlength=len(colors))
    return int(counts.argmax())
