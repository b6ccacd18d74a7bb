# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimises: a weighted sum of terms that compare two pictures as a display shows them.

Adam's steps do not depend on the scale of a loss, but the shares of a sum do. So every term is scaled: with a factor of
1 it pulls at the sprites about as hard as mse does in the middle of a fit (see `SCALE`).

=======  ===============================================================================================================
mse      squared difference of the colours
l1       absolute difference: single outliers count less
huber    mse below a difference of `HUBER`, l1 above it
ssim     1 - SSIM (Wang et al., 2004): structure at the scale of a few pixels
ms_ssim  1 - MS-SSIM (Wang et al., 2003): structure at up to five scales, each half as fine as the one before
edges    squared difference of the slopes (Scharr's operator), at full and at half size
oklab    squared distance in Oklab (Ottosson, 2020, bottosson.github.io/posts/oklab): differences as the eye weighs them
alpha    squared difference of the sprites' opacity and the target's
vgg      distance of the features that VGG16 sees in both
=======  ===============================================================================================================

Planes are [1, channels, h, w]; colours are display-encoded, 0 to 1. Weights [1, 1, h, w] say how much each pixel
counts; only their proportions matter. A term is differentiable in its first argument, in float32 and in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from smalti.bridge.loss import Terms

from ...colour import decoded
from ..picture_statistics import saliency

HUBER = 0.1
"""Difference of display-encoded values from which on huber grows in a straight line."""
WINDOW, SPREAD = 11, 1.5
"""SSIM's Gaussian window, pixels."""
STABLE = 0.01**2, 0.03**2
"""SSIM's constants."""
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""MS-SSIM's exponents, finest scale first."""
TOE = 1e-3
"""Linear light below which Oklab's cube root goes on as its tangent, so that its slope at black is finite."""
FLAT = 0.1
"""What parts without any detail count, against the busiest, at a detail weight of 1."""
SCALE: Mapping[str, float] = {
    "mse": 1.0,
    "l1": 0.15,
    "huber": 1.0,
    "ssim": 0.015,
    "ms_ssim": 0.025,
    "edges": 2.0,
    "oklab": 1.0,
    "alpha": 1.0,
    "vgg": 0.05,
}
"""Factor of each term: how much longer mse's gradient is, a third to half of the way through fits of three paintings
with two sets of bitmaps (docs/fitting-measurements.md). Towards the end mse's fades, and most others weigh more.
"""

Compare = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Two pictures' planes and the weights -> a scalar."""


def mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean over planes."""
    return values.mean() if weights is None else (values * weights).mean() / weights.mean()


def halved(planes: Tensor) -> Tensor:
    """Half the size a side, rounded up."""
    return functional.avg_pool2d(planes, 2, ceil_mode=True)


def mse(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    return mean((found - wanted).square(), weights)


def l1(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    return mean((found - wanted).abs(), weights)


def huber(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    return mean(2 * functional.huber_loss(found, wanted, reduction="none", delta=HUBER), weights)


def _blurred(planes: Tensor) -> Tensor:
    """Under SSIM's window. Edges repeat, so that the canvas may be smaller than the window, and its rim counts too."""
    away = torch.arange(WINDOW, dtype=planes.dtype) - WINDOW // 2
    window = torch.exp(-0.5 * (away / SPREAD).square())
    window = (window / window.sum()).expand(planes.shape[1], 1, 1, WINDOW)
    planes = functional.pad(planes, [WINDOW // 2] * 4, mode="replicate")
    for kernel in (window, window.mT):
        planes = functional.conv2d(planes, kernel, groups=planes.shape[1])
    return planes


def _similarity(found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of the local means, and of contrast and structure: SSIM's two factors, at each pixel of each plane."""
    # In one stack, and with the sum of both variances: 17 ms with its gradient, against 109 ms for torchmetrics'
    # (384 x 288 pixels, one thread), which also takes half a second to import.
    stack = torch.cat([found, wanted, found * wanted, found * found + wanted * wanted], dim=1)
    x, y, both, squares = _blurred(stack).chunk(4, dim=1)
    product, total = x * y, x * x + y * y
    means = (2 * product + STABLE[0]) / (total + STABLE[0])
    structure = (2 * (both - product) + STABLE[1]) / (squares - total + STABLE[1])
    return means, structure


def ssim(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    means, structure = _similarity(found, wanted)
    return 1 - mean(means * structure, weights)


def scales_of(size: tuple[int, int]) -> int:
    """How many of MS-SSIM's scales a canvas of this height and width has: the coarsest still holds a window."""
    return next((n for n in range(len(BETAS), 1, -1) if min(size) >= WINDOW * 2 ** (n - 1)), 1)


def ms_ssim(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    betas = BETAS[: scales_of((found.shape[2], found.shape[3]))]
    product = found.new_ones(())
    for scale, beta in enumerate(betas):
        if scale:
            found, wanted = halved(found), halved(wanted)
            weights = None if weights is None else halved(weights)
        means, structure = _similarity(found, wanted)
        last = scale == len(betas) - 1
        # Below 0 there is no root, and at 0 no slope.
        likeness = mean(means * structure if last else structure, weights).clamp(min=1e-3)
        product = product * likeness ** (beta / sum(betas))
    return 1 - product


def edges(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    difference = found - wanted
    total = found.new_zeros(())
    across = difference.new_tensor([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]) / 32
    kernels = torch.stack([across, across.T]).unsqueeze(1).repeat(difference.shape[1], 1, 1, 1)
    for scale in range(2):
        if scale:
            difference = halved(difference)
            weights = None if weights is None else halved(weights)
        rim = functional.pad(difference, [1] * 4, mode="replicate")
        total = total + mean(functional.conv2d(rim, kernels, groups=difference.shape[1]).square(), weights)
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


def oklab_of(colours: Tensor) -> Tensor:
    """[1, 3, h, w] display-encoded -> Oklab's L, a, b; below `TOE` of linear light somewhat off."""
    cones = torch.einsum("ij,bjhw->bihw", colours.new_tensor(_LMS), decoded(colours))
    tangent = TOE ** (1 / 3) * (2 / 3 + cones / (3 * TOE))
    roots = torch.where(cones <= TOE, tangent, cones.clamp(min=TOE) ** (1 / 3))
    return torch.einsum("ij,bjhw->bihw", colours.new_tensor(_LAB), roots)


def oklab(found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
    return mean((oklab_of(found) - oklab_of(wanted)).square().sum(dim=1, keepdim=True), weights)


_COLOURS: Mapping[str, Compare] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "edges": edges,
    "oklab": oklab,
}


class Features(nn.Module):
    """The first ten layers of VGG16 (Simonyan and Zisserman, 2014), whose weights stay as they are.

    Args:
        state: weights and biases by the names that torchvision gives them; others are ignored.

    Raises:
        ValueError: one is missing, or has another shape or values that are not finite; the message names it.
    """

    WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)
    """Channels of each layer; 0 halves the size."""
    USED = (3, 8, 15, 22)
    """Places after which the features are compared: the last of each size."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        with torch.device("meta"):  # no memory and no random numbers before the real ones come
            for width in self.WIDTHS:
                if width:
                    layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                    channels = width
                else:
                    layers.append(nn.MaxPool2d(2))
            self.features = nn.Sequential(*layers)
        chosen = {}
        for name, expected in self.state_dict().items():
            given = state.get(name)
            if not isinstance(given, Tensor):
                raise ValueError(f"{name} is missing")
            if given.shape != expected.shape:
                raise ValueError(f"{name} has shape {tuple(given.shape)}, not {tuple(expected.shape)}")
            chosen[name] = given.float()
            if not chosen[name].isfinite().all():
                raise ValueError(f"{name} holds values that are not finite")
        self.load_state_dict(chosen, assign=True)
        self.requires_grad_(False)

    def forward(self, colours: Tensor) -> list[Tensor]:
        """[1, 3, h, w] -> the features at each size, at every pixel scaled to length 1 as LPIPS does."""
        kind = next(self.parameters()).dtype
        # Mean and deviation of the photographs that the network was trained with.
        middle = torch.tensor([0.485, 0.456, 0.406], dtype=kind).reshape(1, 3, 1, 1)
        spread = torch.tensor([0.229, 0.224, 0.225], dtype=kind).reshape(1, 3, 1, 1)
        planes = (colours.to(kind) - middle) / spread
        found = []
        for place, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d) and min(planes.shape[2:]) < 2:
                break
            planes = layer(planes)
            if place in self.USED:
                found.append(planes / (planes.square().sum(dim=1, keepdim=True) + 1e-10).sqrt())
        return found


def feature_distance(found: list[Tensor], wanted: list[Tensor], weights: Tensor | None) -> Tensor:
    """Mean over the sizes of the squared distance between features."""
    total = found[0].new_zeros(())
    for one, other in zip(found, wanted, strict=True):
        size = (one.shape[2], one.shape[3])
        own = None if weights is None else functional.adaptive_avg_pool2d(weights, size).to(one.dtype)
        total = total + mean((one - other).square().sum(dim=1, keepdim=True), own)
    return total / len(found)


BY_PIXELS = ("mse", "l1", "huber", "oklab")


@dataclass(frozen=True, eq=False)
class Aim:
    """What a fit minimises.

    Attributes:
        terms: names and factors.
        features: for the term vgg.
        weight_map: [H, W] float32, 0 to 1, how much each pixel counts; None for all alike.
        detail_weight: see `smalti.bridge.job.JobSpec`.
    """

    terms: Terms = (("mse", 1.0),)
    features: Features | None = None
    weight_map: NDArray[np.float32] | None = None
    detail_weight: float = 0.0

    def loss(self) -> Loss | None:
        """What computes it; None where it is the mean squared error alone, evenly, which the kernels know."""
        even = self.weight_map is None and not self.detail_weight
        return None if even and [name for name, _ in self.terms] == ["mse"] else Loss(self.terms, self.features)

    @property
    def is_by_pixels(self) -> bool:
        """Whether at least half of it compares pixel with pixel: then what lessens the squared error lessens it too."""
        by_pixels = sum(factor for name, factor in self.terms if name in BY_PIXELS)
        return 2 * by_pixels >= sum(factor for _, factor in self.terms)

    def weights(self, target: NDArray[np.floating]) -> NDArray[np.float32] | None:
        """How much each pixel counts, [H, W] with mean 1; None for all alike.

        Args:
            target: [H, W, 4], display-encoded.
        """
        if self.weight_map is None and not self.detail_weight:
            return None
        ones = np.ones(target.shape[:2])
        weights: NDArray[np.float64] = ones if self.weight_map is None else ones * self.weight_map
        if self.detail_weight:
            weights = weights * (1 - self.detail_weight * (1 - FLAT) * (1 - saliency(target.astype(np.float64))))
        return np.asarray(weights / weights.mean(), np.float32)


MSE = Aim()
"""The mean squared error alone, evenly."""


class Loss:
    """The weighted sum of terms.

    Args:
        terms: names and factors.
        features: for the term vgg.

    Raises:
        ValueError: there is a term vgg, and no features.
    """

    def __init__(self, terms: Terms, features: Features | None = None) -> None:
        self._terms = terms
        self._features = features
        self._last: tuple[Tensor, list[Tensor]] | None = None
        if self.needs_network and features is None:
            raise ValueError("the term vgg needs features")

    @property
    def needs_opacity(self) -> bool:
        """Whether it asks for the sprites' own opacity."""
        return "alpha" in dict(self._terms)

    @property
    def needs_network(self) -> bool:
        """Whether it asks VGG16, next to which all else of a step takes no time."""
        return "vgg" in dict(self._terms)

    def __call__(
        self,
        found: Tensor,
        wanted: Tensor,
        weights: Tensor | None = None,
        opacity: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """How far the picture is from the goal.

        Args:
            found: [h, w, 4], over an opaque background, display-encoded; differentiable.
            wanted: [h, w, 4], likewise; a constant, which may be kept until the next call.
            weights: [h, w], how much each pixel counts; None for all alike.
            opacity: [h, w] each, that of the sprites and that of the target; where `needs_opacity`.

        Returns:
            A scalar of the type of `found`.
        """
        planes = _planes(found[..., :3]), _planes(wanted[..., :3].to(found.dtype))
        own = None if weights is None else _planes(weights.to(found.dtype).unsqueeze(-1))
        total = found.new_zeros(())
        for name, factor in self._terms:
            if name == "vgg":
                value = self._seen_by_network(planes[0], wanted, own)
            elif name == "alpha":
                assert opacity is not None
                alpha, aimed = (_planes(o.to(found.dtype).unsqueeze(-1)) for o in opacity)
                value = mse(alpha, aimed, own)
            else:
                value = _COLOURS[name](*planes, own)
            total = total + factor * SCALE[name] * value
        return total

    def _seen_by_network(self, found: Tensor, wanted: Tensor, weights: Tensor | None) -> Tensor:
        assert self._features is not None
        # Over a background the goal stays the same object, and half of the work need not be done again.
        if self._last is None or self._last[0] is not wanted:
            with torch.no_grad():
                self._last = wanted, self._features(_planes(wanted[..., :3]))
        return feature_distance(self._features(found), self._last[1], weights)


def _planes(picture: Tensor) -> Tensor:
    """[h, w, channels] -> [1, channels, h, w]."""
    return picture.permute(2, 0, 1).unsqueeze(0).contiguous()
