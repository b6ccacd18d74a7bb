# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels' loss terms in plain torch, of any precision: the oracle of their tests, and losses for researchers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .display import decoded

HUBER_DELTA = 0.1
"""Difference of display-encoded values above which huber is linear."""
WINDOW, DEVIATION = 11, 1.5
"""Side and standard deviation of SSIM's Gaussian window, pixels."""
C1, C2 = 0.01**2, 0.03**2
"""SSIM's constants."""
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""MS-SSIM's exponents, finest scale first."""
TOE = 1e-3
"""Linear light below which a tangent replaces Oklab's cube root, so that its slope at black is finite."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A rendered picture beside its goal, and everything else that a term may look at.

    All planes are display-encoded, 0 to 1, and of one type.

    Attributes:
        rendered: [1, 3, h, w] colors over an opaque background; differentiable.
        goal: [1, 3, h, w] what they should be; a constant.
        weights: [1, 1, h, w] how much each pixel counts, of which only the proportions matter; None for all alike.
        opacity: [1, 1, h, w] alpha of the sprites alone, differentiable; for the term alpha.
        goal_opacity: [1, 1, h, w] alpha of the target; likewise.
    """

    rendered: Tensor
    goal: Tensor
    weights: Tensor | None = None
    opacity: Tensor | None = None
    goal_opacity: Tensor | None = None

    def mean(self, values: Tensor) -> Tensor:
        """The weighted mean over planes [1, channels, h, w]: a scalar."""
        return weighted_mean(values, self.weights)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of planes [1, channels, h, w] with weights [1, 1, h, w], or None for all alike: a scalar."""
    return values.mean() if weights is None else (values * weights).mean() / weights.mean()


def halved(planes: Tensor) -> Tensor:
    """Planes of half the size, rounded up: means of 2 x 2 pixels."""
    return functional.avg_pool2d(planes, 2, ceil_mode=True)


def mse(pictures: Comparison) -> Tensor:
    """Squared difference of colors."""
    return pictures.mean((pictures.rendered - pictures.goal).square())


def l1(pictures: Comparison) -> Tensor:
    """Absolute difference of colors."""
    return pictures.mean((pictures.rendered - pictures.goal).abs())


def huber(pictures: Comparison) -> Tensor:
    """As mse up to a difference of `HUBER_DELTA`, linear above it."""
    loss = functional.huber_loss(pictures.rendered, pictures.goal, reduction="none", delta=HUBER_DELTA)
    return pictures.mean(2 * loss)


def alpha(pictures: Comparison) -> Tensor:
    """Squared difference of the sprites' opacity and the target's."""
    assert pictures.opacity is not None
    assert pictures.goal_opacity is not None
    return pictures.mean((pictures.opacity - pictures.goal_opacity).square())


def _blurred(planes: Tensor) -> Tensor:
    """Planes under SSIM's window. Edges repeat: a canvas may be smaller than the window, and its border counts too."""
    offset = torch.arange(WINDOW, dtype=planes.dtype) - WINDOW // 2
    window = torch.exp(-0.5 * (offset / DEVIATION).square())
    window = (window / window.sum()).expand(planes.shape[1], 1, 1, WINDOW)
    planes = functional.pad(planes, [WINDOW // 2] * 4, mode="replicate")
    for kernel in (window, window.mT):
        planes = functional.conv2d(planes, kernel, groups=planes.shape[1])
    return planes


def similarity(rendered: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's two factors at each pixel of each plane: luminance, and contrast times structure."""
    # One stack for all blurs, and the sum of both variances instead of each: this runs in every step.
    stack = torch.cat([rendered, goal, rendered * goal, rendered * rendered + goal * goal], dim=1)
    x, y, xy, squares = _blurred(stack).chunk(4, dim=1)
    product, total = x * y, x * x + y * y
    luminance = (2 * product + C1) / (total + C1)
    structure = (2 * (xy - product) + C2) / (squares - total + C2)
    return luminance, structure


def ssim(pictures: Comparison) -> Tensor:
    """1 - SSIM (Wang et al., 2004): structure at the scale of a few pixels."""
    luminance, structure = similarity(pictures.rendered, pictures.goal)
    return 1 - pictures.mean(luminance * structure)


def scales_of(size: tuple[int, int]) -> int:
    """Number of MS-SSIM's scales on a canvas of this height and width: a window still fits into the coarsest."""
    return next((n for n in range(len(BETAS), 1, -1) if min(size) >= WINDOW * 2 ** (n - 1)), 1)


def ms_ssim(pictures: Comparison) -> Tensor:
    """1 - MS-SSIM (Wang et al., 2003): structure at up to five scales, each half as fine as the one before."""
    rendered, goal, weights = pictures.rendered, pictures.goal, pictures.weights
    betas = BETAS[: scales_of((rendered.shape[2], rendered.shape[3]))]
    product = rendered.new_ones(())
    for scale, beta in enumerate(betas):
        if scale:
            rendered, goal = halved(rendered), halved(goal)
            weights = None if weights is None else halved(weights)
        luminance, structure = similarity(rendered, goal)
        last = scale == len(betas) - 1
        # Below 0 there is no root, and at 0 its slope is infinite.
        likeness = weighted_mean(luminance * structure if last else structure, weights).clamp(min=1e-3)
        product = product * likeness ** (beta / sum(betas))
    return 1 - product


def edges(pictures: Comparison) -> Tensor:
    """Squared difference of the gradients of colors (Scharr's operator), at full and at half size."""
    difference, weights = pictures.rendered - pictures.goal, pictures.weights
    total = difference.new_zeros(())
    horizontal = difference.new_tensor([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]) / 32
    kernels = torch.stack([horizontal, horizontal.T]).unsqueeze(1).repeat(difference.shape[1], 1, 1, 1)
    for scale in range(2):
        if scale:
            difference = halved(difference)
            weights = None if weights is None else halved(weights)
        padded = functional.pad(difference, [1] * 4, mode="replicate")
        gradients = functional.conv2d(padded, kernels, groups=difference.shape[1])
        total = total + weighted_mean(gradients.square(), weights)
    return total


_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def oklab_of(colors: Tensor) -> Tensor:
    """[1, 3, h, w] display-encoded -> Oklab's L, a, b; inexact below `TOE` of linear light."""
    cones = torch.einsum("ij,bjhw->bihw", colors.new_tensor(_LMS), decoded(colors))
    tangent = TOE ** (1 / 3) * (2 / 3 + cones / (3 * TOE))
    roots = torch.where(cones <= TOE, tangent, cones.clamp(min=TOE) ** (1 / 3))
    return torch.einsum("ij,bjhw->bihw", colors.new_tensor(_LAB), roots)


def oklab(pictures: Comparison) -> Tensor:
    """Squared distance in Oklab (Ottosson, 2020, bottosson.github.io/posts/oklab): colors as the eye perceives them."""
    difference = oklab_of(pictures.rendered) - oklab_of(pictures.goal)
    return pictures.mean(difference.square().sum(dim=1, keepdim=True))


TERMS: Mapping[str, Callable[[Comparison], Tensor]] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "oklab": oklab,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "edges": edges,
    "alpha": alpha,
}
"""By the names in `smalti.engine.raster.loss.KERNEL_TERMS`; each is 0 where the goal is reached."""


def sum_of_terms(factors: Mapping[str, float], pictures: Comparison) -> Tensor:
    """The sum of terms, each times its factor: a scalar."""
    total = pictures.rendered.new_zeros(())
    for name, factor in factors.items():
        total = total + factor * TERMS[name](pictures)
    return total


def planes_of(picture: Tensor) -> Tensor:
    """The colors of a picture: [h, w, 3 or more] -> [1, 3, h, w]."""
    return picture[..., :3].permute(2, 0, 1).unsqueeze(0).contiguous()
