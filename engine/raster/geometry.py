# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sprite's parameters to the affine map that the rasteriser takes."""

from __future__ import annotations

import torch
from torch import Tensor


def half_sizes(scale: Tensor, aspect: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
    """Half the width and half the height of sprites on the canvas, before rotation.

    Args:
        scale: [N] half of the longer side, canvas pixels.
        aspect: [N] log of extra width over height.
        shape: [N, 2] width and height of each sprite's template, any unit.
    """
    longer = shape.amax(dim=1)
    return (
        scale * shape[:, 0] / longer * torch.exp(0.5 * aspect),
        scale * shape[:, 1] / longer * torch.exp(-0.5 * aspect),
    )


def affine_maps(x: Tensor, y: Tensor, scale: Tensor, aspect: Tensor, theta: Tensor, shape: Tensor) -> Tensor:
    """[N, 6] maps (a, b, c, d, e, f) from canvas pixels to template coordinates, differentiable.

    u = a x + b y + c runs along the template's width, v = d x + e y + f down its height; both go from -1 to 1 over it.

    Args:
        x, y: [N] center, canvas pixels, x right, y down.
        scale, aspect, shape: see `half_sizes`.
        theta: [N] radians, positive turns +x towards +y.
    """
    half_width, half_height = half_sizes(scale, aspect, shape)
    cos, sin = torch.cos(theta), torch.sin(theta)
    a, b = cos / half_width, sin / half_width
    d, e = -sin / half_height, cos / half_height
    return torch.stack([a, b, -(a * x + b * y), d, e, -(d * x + e * y)], dim=1)
