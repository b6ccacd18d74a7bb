# SPDX-License-Identifier: GPL-3.0-or-later
"""How many layers lie over a point, and penalties on too many and on their being many here and few there.

With all opacities divided by a thousand, a picture's alpha is nearly the sum of all sprites' alphas, differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...raster import Atlas, composite

FAINT = 1e-3
"""Factor of the opacities: n layers are counted as n (1 - n / 2000)."""
TOO_MANY = 0.03
"""Of twice the layers that are allowed, against a squared error of 1 all over."""
UNEVEN = 0.05
"""Of a spread of the layers as large as their mean, at weight 1, against a squared error of 1 all over."""


def layers(affine: Tensor, opacity: Tensor, template: Tensor, atlas: Atlas, size: tuple[int, int]) -> Tensor:
    """[H, W] float64: the sum of the alphas of all sprites over each pixel, hidden ones too; differentiable."""
    tint = torch.zeros(len(affine), 3, dtype=torch.float64)
    image = composite(affine, FAINT * opacity, tint, template, atlas, size, stop=0.0)
    return image[..., 3].double() / FAINT


def mean_and_spread(counted: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of what `layers` counted [H, W] over where the target is (its alpha, [H, W]), and its relative deviation."""
    share = cover.double() / cover.double().sum().clamp(min=1e-9)
    mean = (share * counted).sum()
    variance = (share * (counted - mean).square()).sum()
    return mean, (variance + 1e-12).sqrt() / mean.clamp(min=1e-6)


def penalty(counted: Tensor, cover: Tensor, most: float | None, even: float) -> Tensor:
    """What is added to the loss.

    Args:
        counted: [H, W], see `layers`.
        cover: [H, W] alpha of the target.
        most: mean number of layers over a point of the target that costs nothing; None for any.
        even: weight of the evenness, 0 to 1.
    """
    mean, spread = mean_and_spread(counted, cover)
    total = UNEVEN * even * spread.square()
    return total if most is None else total + TOO_MANY * (mean / most - 1).clamp(min=0).square()
