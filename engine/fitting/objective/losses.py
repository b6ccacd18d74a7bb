# SPDX-License-Identifier: GPL-3.0-or-later
"""The objective of a fit: a weighted sum of loss terms, which compare the rendered picture with its goal.

`TERMS` is the table of terms. Most are kernels' (`smalti.engine.raster.loss`), which differentiate them inside a step.
A further one can be written in Python: a function from a `Comparison` to a value and its gradient, with a row here and
its name and help in `smalti.bridge.loss.TERMS`. A term that keeps something for a whole fit (a network, the encoding of
a text) is a class with a ``__call__``, whose row says how to make an instance for an `Objective`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from functools import reduce
from operator import or_

import numpy as np

from smalti.bridge.loss import Terms

from ...arrays import Float32Array, Float64Array, FloatArray
from ...raster.loss import ALPHA, KERNEL_TERMS
from ..picture_statistics import saliency


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a term written in Python compares. All planes are display-encoded, 0 to 1, float32.

    Attributes:
        rendered: [3, h, w] colors over an opaque background.
        goal: [3, h, w] what they should be.
        weights: [h, w] how much each pixel counts, of which only the proportions matter; None for all alike.
        previous: the finished frame before beside its goal, over the same background; if asked for, and None in the
            first frame of a scene.
    """

    rendered: Float32Array
    goal: Float32Array
    weights: Float32Array | None = None
    previous: Comparison | None = None


PictureTerm = Callable[[Comparison], tuple[float, Float32Array]]
"""A value, 0 where the goal is reached, and its gradient [3, h, w] by what is rendered."""

PictureDistance = Callable[[Float32Array, Float32Array, Float32Array | None], tuple[float, Float32Array]]
"""As a `PictureTerm`, from rendered picture, goal and weights."""


class Needs(Flag):
    """What a term asks for besides the rendered picture, its goal and the weights.

    Attributes:
        PREVIOUS: the frame before.
        NETWORK: the weights of a network.
    """

    NOTHING = 0
    PREVIOUS = auto()
    NETWORK = auto()


@dataclass(frozen=True)
class Term:
    """A row of `TERMS`.

    Attributes:
        scale: factor that makes the term's gradient about as long as that of mse, a third to half of the way through
            a fit (docs/fitting-measurements.md). Adam's steps do not depend on the scale of a loss, but the shares of a
            sum do. Towards the end the gradient of mse fades, and most other terms weigh more.
        per_pixel: whether it compares pixel with pixel, so that a lower squared error lowers it too.
        needs: what it asks for.
        create: makes a term written in Python for an objective, once for each fit; None for one of the kernels'.
    """

    scale: float
    per_pixel: bool = False
    needs: Needs = Needs.NOTHING
    create: Callable[[Objective], PictureTerm] | None = None


def _network_term(objective: Objective) -> PictureTerm:
    features = objective.features
    if features is None:
        raise ValueError("the term vgg needs the weights of VGG16")
    return lambda pictures: features(pictures.rendered, pictures.goal, pictures.weights)


TERMS: dict[str, Term] = {
    "mse": Term(1.0, per_pixel=True),
    "l1": Term(0.15, per_pixel=True),
    "huber": Term(1.0, per_pixel=True),
    "ssim": Term(0.015),
    "ms_ssim": Term(0.025),
    "edges": Term(2.0),
    "oklab": Term(1.0, per_pixel=True),
    "alpha": Term(1.0),
    "vgg": Term(0.05, needs=Needs.NETWORK, create=_network_term),
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
        cover: 0 to 1, how much the fit cares that no bare background shows, see `smalti.bridge.job.JobSpec`.
        min_visibility: 0 to 1, see there. Sprites that may not lie over each other leave gaps where the background is
            near the target, so that there is some cover even where none is asked for.
        bare_cost: mean squared difference of colors that weighs as much as bare background, at a cover of 1.
        cover_of_visibility: least cover at a visibility of 1.
    """

    terms: Terms = (("mse", 1.0),)
    features: PictureDistance | None = None
    weight_map: Float32Array | None = None
    detail_weight: float = 0.0
    flat_share: float = 0.1
    cover: float = 0.0
    min_visibility: float = 0.0
    bare_cost: float = 0.1
    cover_of_visibility: float = 0.2

    @property
    def cost_of_bare(self) -> float:
        """Mean squared difference of colors that weighs as much as bare background."""
        return self.bare_cost * max(self.cover, self.cover_of_visibility * self.min_visibility)

    def loss(self) -> Loss | None:
        """The loss; None for the unweighted mean squared error, which the kernels compute by themselves."""
        unweighted = self.weight_map is None and not self.detail_weight
        plain = unweighted and not self.cost_of_bare and [name for name, _ in self.terms] == ["mse"]
        return None if plain else Loss(self)

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
        factors: of the kernels' terms, by name.

    Raises:
        ValueError: the term vgg has no network.
    """

    def __init__(self, objective: Objective) -> None:
        rows = [(name, factor * TERMS[name].scale, TERMS[name]) for name, factor in objective.terms]
        self.needs = reduce(or_, (term.needs for _, _, term in rows), Needs.NOTHING)
        self.factors = {name: factor for name, factor, term in rows if term.create is None}
        if objective.cost_of_bare:
            self.factors[ALPHA] = self.factors.get(ALPHA, 0.0) + objective.cost_of_bare
        assert set(self.factors) <= set(KERNEL_TERMS)
        self._others = [(factor, term.create(objective)) for _, factor, term in rows if term.create is not None]

    @property
    def has_others(self) -> bool:
        """Whether there are terms written in Python."""
        return bool(self._others)

    def others(self, pictures: Comparison) -> tuple[float, Float32Array]:
        """The sum of the terms written in Python, and its gradient [3, h, w] by the rendered picture."""
        value, gradient = 0.0, np.zeros_like(pictures.rendered)
        for factor, term in self._others:
            own, slope = term(pictures)
            value += factor * own
            gradient += np.float32(factor) * slope
        return value, gradient
