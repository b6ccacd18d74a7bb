# SPDX-License-Identifier: GPL-3.0-or-later
"""The objective of a fit: a weighted sum of loss terms, which compare the rendered picture with its goal.

`TERMS` is the table of terms. To add one, write a function from a `Comparison` to a scalar, and give it a row here and
its name and help in `smalti.bridge.loss.TERMS`. Its row says in `needs` what it looks at besides the two pictures: the
sprites' own opacity, or the frame before. A term that keeps something for a whole fit (a network, the encoding of a
text) is a class with a ``__call__``, whose row says how to make an instance for an `Objective`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from functools import reduce
from operator import or_

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smalti.bridge.loss import Terms

from ...arrays import Float32Array, Float64Array, FloatArray
from ...colour import decoded
from ..picture_statistics import saliency
from .comparison import Compare, Comparison, halved, weighted_mean
from .vgg import FeatureDistance, Features

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


class Needs(Flag):
    """What a term asks for besides the rendered picture, its goal and the weights.

    Attributes:
        OPACITY: the sprites' own alpha, so that they are drawn without the background.
        PREVIOUS: the frame before.
        NETWORK: torch's own threads: the term runs a network, next to which the rest of a step takes no time.
    """

    NOTHING = 0
    OPACITY = auto()
    PREVIOUS = auto()
    NETWORK = auto()


@dataclass(frozen=True)
class Term:
    """A row of `TERMS`.

    Attributes:
        create: makes the term for an objective, once for each fit.
        scale: factor that makes the term's gradient about as long as that of mse, a third to half of the way through
            a fit (docs/fitting-measurements.md). Adam's steps do not depend on the scale of a loss, but the shares of a
            sum do. Towards the end the gradient of mse fades, and most other terms weigh more.
        per_pixel: whether it compares pixel with pixel, so that a lower squared error lowers it too.
        needs: what it asks for.
    """

    create: Callable[[Objective], Compare]
    scale: float
    per_pixel: bool = False
    needs: Needs = Needs.NOTHING

    @classmethod
    def of(cls, compare: Compare, scale: float, per_pixel: bool = False, needs: Needs = Needs.NOTHING) -> Term:
        """The row of a term that is a plain function."""
        return cls(lambda objective: compare, scale, per_pixel, needs)


TERMS: dict[str, Term] = {
    "mse": Term.of(mse, 1.0, per_pixel=True),
    "l1": Term.of(l1, 0.15, per_pixel=True),
    "huber": Term.of(huber, 1.0, per_pixel=True),
    "ssim": Term.of(ssim, 0.015),
    "ms_ssim": Term.of(ms_ssim, 0.025),
    "edges": Term.of(edges, 2.0),
    "oklab": Term.of(oklab, 1.0, per_pixel=True),
    "alpha": Term.of(alpha, 1.0, needs=Needs.OPACITY),
    "vgg": Term(lambda objective: FeatureDistance(objective.features), 0.05, needs=Needs.NETWORK),
}
"""The terms, by the names in `smalti.bridge.loss.TERMS`."""


@dataclass(frozen=True, eq=False)
class Objective:
    """What a fit minimizes.

    Attributes:
        terms: names and factors.
        features: the network of the term vgg.
        weight_map: [H, W] float32, 0 to 1, how much each pixel counts; None for all alike.
        detail_weight: 0 to 1, how much more detailed parts count, see `smalti.bridge.job.JobSpec`.
        flat_share: what parts without any detail count, relative to the most detailed, at a detail weight of 1.
    """

    terms: Terms = (("mse", 1.0),)
    features: Features | None = None
    weight_map: Float32Array | None = None
    detail_weight: float = 0.0
    flat_share: float = 0.1

    def loss(self) -> Loss | None:
        """The loss; None for the unweighted mean squared error, which the kernels compute themselves."""
        unweighted = self.weight_map is None and not self.detail_weight
        return None if unweighted and [name for name, _ in self.terms] == ["mse"] else Loss(self)

    @property
    def is_per_pixel(self) -> bool:
        """Whether at least half of it compares pixel with pixel: then a lower squared error lowers it too."""
        per_pixel = sum(factor for name, factor in self.terms if TERMS[name].per_pixel)
        return 2 * per_pixel >= sum(factor for _, factor in self.terms)

    def weights(self, target: FloatArray) -> Float32Array | None:
        """How much each pixel counts, [H, W] with mean 1; None for all alike.

        Args:
            target: [H, W, 4], display-encoded.
        """
        if self.weight_map is None and not self.detail_weight:
            return None
        ones = np.ones(target.shape[:2])
        weights: Float64Array = ones if self.weight_map is None else ones * self.weight_map
        if self.detail_weight:
            flatness = 1 - saliency(target.astype(np.float64))
            weights = weights * (1 - self.detail_weight * (1 - self.flat_share) * flatness)
        return np.asarray(weights / weights.mean(), np.float32)


MSE = Objective()
"""The unweighted mean squared error."""


class Loss:
    """An objective's sum of terms.

    Args:
        objective: the terms and what they need.

    Attributes:
        needs: what the terms ask for.

    Raises:
        ValueError: the term vgg has no network.
    """

    def __init__(self, objective: Objective) -> None:
        rows = [(factor, TERMS[name]) for name, factor in objective.terms]
        self.needs = reduce(or_, (term.needs for _, term in rows), Needs.NOTHING)
        self._terms = [(factor * term.scale, term.create(objective)) for factor, term in rows]
        self._goal: tuple[Tensor, Tensor] | None = None

    def __call__(
        self,
        rendered: Tensor,
        goal: Tensor,
        weights: Tensor | None = None,
        opacity: tuple[Tensor, Tensor] | None = None,
        previous: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Distance of the rendered picture from its goal: a scalar of the type of `rendered`.

        Args:
            rendered: [h, w, 4] over an opaque background, display-encoded; differentiable.
            goal: [h, w, 4] likewise; a constant, and the same tensor in each step where it does not change.
            weights: [h, w] how much each pixel counts; None for all alike.
            opacity: [h, w] each, alpha of the sprites and of the target; for `Needs.OPACITY`.
            previous: [h, w, 4] each, the frame before as it was finished and its goal, over the same background; for
                `Needs.PREVIOUS`. None in the first frame of a scene.
        """
        dtype = rendered.dtype
        if self._goal is None or self._goal[0] is not goal:
            self._goal = goal, _colors(goal, dtype)
        pictures = Comparison(
            _colors(rendered, dtype),
            self._goal[1],
            None if weights is None else _plane(weights, dtype),
            None if opacity is None else _plane(opacity[0], dtype),
            None if opacity is None else _plane(opacity[1], dtype),
            None if previous is None else Comparison(_colors(previous[0], dtype), _colors(previous[1], dtype)),
        )
        total = rendered.new_zeros(())
        for factor, compare in self._terms:
            total = total + factor * compare(pictures)
        return total


def _colors(picture: Tensor, dtype: torch.dtype) -> Tensor:
    """[h, w, 4] -> [1, 3, h, w]."""
    return picture[..., :3].to(dtype).permute(2, 0, 1).unsqueeze(0).contiguous()


def _plane(values: Tensor, dtype: torch.dtype) -> Tensor:
    """[h, w] -> [1, 1, h, w]."""
    return values.to(dtype).unsqueeze(0).unsqueeze(0).contiguous()
