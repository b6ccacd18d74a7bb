# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas at one level of the coarse-to-fine pyramid: target, background, goal and size of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array
from ...colour import encoded
from ...raster.atlas import area_resample


@dataclass(frozen=True, eq=False)
class Canvas:
    """Target and background at one pyramid level, of h x w pixels.

    The parameters of sprites are in pixels of the full canvas at every level.

    Attributes:
        target: [h, w, 4] float32, premultiplied, in the blend space.
        background: [h, w, 4] float32, premultiplied, in the blend space; None where sprites stand alone.
        goal: [h, w, 4] float32, the target over the background, display-encoded; None without a background.
        pixel: width and height of a pixel of this level, in pixels of the full canvas.
        weights: [h, w] float32, how much each pixel counts, with mean 1; None for all alike.
    """

    target: Tensor
    background: Tensor | None
    goal: Tensor | None
    pixel: tuple[float, float]
    weights: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.target.shape[0], self.target.shape[1]


def display_encode(image: Tensor, space: BlendSpace) -> Tensor:
    """An opaque image [h, w, 4] in `space` as a display shows it: colors sRGB-encoded, alpha unchanged."""
    if space == "srgb":
        return image
    return torch.cat([encoded(image[..., :3], space), image[..., 3:]], dim=-1)


def over(image: Tensor, background: Tensor) -> Tensor:
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

    def reduced(picture: Float32Array) -> Tensor:
        if downscale > 1:
            picture = area_resample(area_resample(picture, rows, 0), columns, 1).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(picture, np.float32))

    small = reduced(target)
    behind = None if background is None else reduced(background)
    goal = None if behind is None else display_encode(over(small, behind), space)
    return Canvas(small, behind, goal, (width / columns, height / rows), None if weights is None else reduced(weights))
