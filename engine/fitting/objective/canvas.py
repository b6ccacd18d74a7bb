# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas at one level of the coarse-to-fine pyramid: target, background, goal and size of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array
from ...colour import srgb_from_linear
from ...raster.atlas import area_resample


@dataclass(frozen=True, eq=False)
class Canvas:
    """Target and background at one pyramid level, of h x w pixels.

    The parameters of sprites are in pixels of the full canvas at every level.

    Attributes:
        target: [h, w, 4], premultiplied, in the blend space.
        background: [h, w, 4], premultiplied, in the blend space; None where sprites stand alone.
        blended: [h, w, 4], the target over the background, in the blend space; None without a background.
        goal: [h, w, 4], the same display-encoded.
        pixel: width and height of a pixel of this level, in pixels of the full canvas.
        weights: [h, w], how much each pixel counts, with mean 1; None for all alike.
    """

    target: Float32Array
    background: Float32Array | None
    blended: Float32Array | None
    goal: Float32Array | None
    pixel: tuple[float, float]
    weights: Float32Array | None = None

    @cached_property
    def alpha(self) -> Float32Array:
        """[h, w]: the target's alpha, in one piece."""
        return np.ascontiguousarray(self.target[..., 3])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.target.shape[0], self.target.shape[1]


def display_encode(image: Float32Array, space: BlendSpace) -> Float32Array:
    """An opaque image [h, w, 4] in `space` as a display shows it: colors sRGB-encoded, alpha unchanged."""
    if space == "srgb":
        return image
    return np.concatenate([srgb_from_linear(image[..., :3]), image[..., 3:]], axis=-1)


def over(image: Float32Array, background: Float32Array) -> Float32Array:
    """A premultiplied image [h, w, 4] over a premultiplied background."""
    return image + (1 - image[..., 3:]) * background


def reduced_canvas(
    target: Float32Array,
    background: Float32Array | None,
    space: BlendSpace,
    downscale: int,
    weights: Float32Array | None = None,
) -> Canvas:
    """The canvas of a pyramid level: each pixel is the mean over the area of the full canvas that it covers.

    Args:
        target, background: [H, W, 4], see `Canvas`.
        space: their blend space.
        downscale: how many times smaller a side, rounded up to whole pixels; 1 for the full size.
        weights: [H, W], see `Canvas`.
    """
    height, width = target.shape[:2]
    rows, columns = -(-height // downscale), -(-width // downscale)

    def reduced(picture: Float32Array) -> Float32Array:
        if downscale > 1:
            picture = area_resample(area_resample(picture, rows, 0), columns, 1).astype(np.float32)
        return np.ascontiguousarray(picture, np.float32)

    small = reduced(target)
    behind = None if background is None else reduced(background)
    blended = None if behind is None else over(small, behind)
    goal = None if blended is None else display_encode(blended, space)
    pixel = (width / columns, height / rows)
    return Canvas(small, behind, blended, goal, pixel, None if weights is None else reduced(weights))
