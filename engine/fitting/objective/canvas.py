# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas at one size: what the sprites are fitted to, and how large its pixels are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smalti.bridge.job import BlendSpace

from ...colour import encoded
from ...raster.atlas import area_resample


@dataclass(frozen=True, eq=False)
class Canvas:
    """Target and background of h x w pixels, for sprites whose parameters are in pixels of the full canvas.

    Attributes:
        target: [h, w, 4] float32, premultiplied, in the blend space.
        background: [h, w, 4] float32, premultiplied, in the blend space; None where sprites stand alone.
        goal: [h, w, 4] what the finished picture should be, as a display shows it; None without a background.
        pixel: width and height of a pixel here, in pixels of the full canvas.
        weights: [h, w] how much each pixel counts, with mean 1; None for all alike.
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


def seen(image: Tensor, space: BlendSpace) -> Tensor:
    """What a display shows of an image [h, w, 4] in `space` over an opaque background: colours encoded, alpha as is."""
    if space == "srgb":
        return image
    return torch.cat([encoded(image[..., :3], space), image[..., 3:]], dim=-1)


def over(image: Tensor, background: Tensor) -> Tensor:
    """Premultiplied [h, w, 4] over premultiplied."""
    return image + (1 - image[..., 3:]) * background


def reduced_canvas(
    target: NDArray[np.float32],
    background: NDArray[np.float32] | None,
    space: BlendSpace,
    reduction: int,
    weights: NDArray[np.float32] | None = None,
) -> Canvas:
    """The canvas, `reduction` times smaller a side: each pixel is the mean over the area that it stands for.

    Args:
        target, background: [H, W, 4], see `Canvas`.
        space: their blend space.
        reduction: 1 for the full size.
        weights: [H, W], see `Canvas`.
    """
    height, width = target.shape[:2]
    rows, columns = -(-height // reduction), -(-width // reduction)

    def smaller(picture: NDArray[np.float32]) -> Tensor:
        if reduction > 1:
            picture = area_resample(area_resample(picture, rows, 0), columns, 1).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(picture, np.float32))

    small = smaller(target)
    ground = None if background is None else smaller(background)
    goal = None if ground is None else seen(over(small, ground), space)
    return Canvas(small, ground, goal, (width / columns, height / rows), None if weights is None else smaller(weights))
