# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognition: which of several templates explains best what a picture shows at the pose of a sprite."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...arrays import BoolArray, Float32Array, Int32Array, Int64Array
from ...colour import LUMA
from ...raster import Atlas
from .cuts import REACH, SIDE, Cuts
from .sheets import templates_stretched
from .strange import strange_templates

CANDIDATES = 24
"""Templates among which a sprite's own is looked for, itself included."""
ALIKE = 0.95
"""Share of a template that another one explains, from which the two count as the same."""
FAINT = 1 / 255
"""Root mean square of what a template explains in a cut, below which nothing is recognized."""
NOTHING = 1e-3
"""Sum of squares below which what is left of a template counts as flat."""


class Regression:
    """What K templates explain of cuts: by least squares, each template alone.

    A cut is made of a plane (what lies around the sprite, and its slope), of the template's outline in any color, and
    where own colors or shade show of these, times one factor for all channels that is not negative.

    Args:
        templates: [4, K, SIDE * SIDE] premultiplied, in the blend space, each drawn over the square of a cut.
        colors: whether they show besides a tint; otherwise the outline alone counts.
        weight: [M, SIDE * SIDE] of each texel of the cuts, 0 to 1.
    """

    def __init__(self, templates: Float32Array, colors: bool, weight: Float32Array) -> None:
        self._weight = weight
        self._planes = _plane_basis(weight)
        self._alpha = np.ascontiguousarray(templates[3].T)
        along = self._along_planes(self._alpha)
        self._by_variance = _reciprocal(weight @ self._alpha**2 - np.square(along).sum(axis=0))
        self._colors = [np.ascontiguousarray(color.T) for color in templates[: 3 if colors else 0]]
        self._joint: list[Float32Array] = []
        left = np.zeros_like(self._by_variance)
        for color in self._colors:
            color_along = self._along_planes(color)
            self._joint.append(weight @ (color * self._alpha) - (color_along * along).sum(axis=0))
            left += weight @ color**2 - np.square(color_along).sum(axis=0)
            left -= self._joint[-1] ** 2 * self._by_variance
        self._by_left = _reciprocal(left)

    def _along_planes(self, columns: Float32Array) -> Float32Array:
        """[3, M, K]: the coefficients of columns [SIDE * SIDE, K] in `_plane_basis`."""
        return np.stack([(basis * self._weight) @ columns for basis in self._planes])

    def without_planes(self, values: Float32Array) -> Float32Array:
        """One channel of the cuts, [M, SIDE * SIDE], without their planes, times the weights."""
        rest = values * self._weight
        coefficients = [np.einsum("mp,mp->m", rest, basis)[:, None] for basis in self._planes]
        for coefficient, basis in zip(coefficients, self._planes):
            rest -= coefficient * basis * self._weight
        return rest

    def squares_explained(self, values: Float32Array) -> Float32Array:
        """[M, K]: how much of each cut each template explains: the sum of squares over texels and channels.

        Args:
            values: [4, M, SIDE * SIDE] premultiplied; what a template's own colors say of alpha, its alpha says.
        """
        result = np.zeros_like(self._by_variance)
        along = np.zeros_like(result)
        for channel, plane in enumerate(values):
            rest = self.without_planes(plane)
            by_alpha = rest @ self._alpha
            result += by_alpha**2 * self._by_variance
            if channel < len(self._colors):
                along += rest @ self._colors[channel] - self._joint[channel] * by_alpha * self._by_variance
        return np.asarray(result + np.maximum(along, 0) ** 2 * self._by_left)


def _plane_basis(weight: Float32Array) -> Float32Array:
    """[3, M, SIDE * SIDE]: planes over the square that are orthonormal under weights [M, SIDE * SIDE]."""
    middle = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    planes = np.stack([np.ones(SIDE**2), np.tile(middle, SIDE), np.repeat(middle, SIDE)])
    products = (planes[:, None] * planes).reshape(9, -1)
    gram = (weight @ products.T).reshape(-1, 3, 3) + NOTHING * np.eye(3)
    basis = np.linalg.inv(np.linalg.cholesky(gram)) @ planes
    return np.ascontiguousarray(np.moveaxis(basis, 1, 0), np.float32)


def _reciprocal(variance: Float32Array) -> Float32Array:
    """1 / variance, 0 where it is `NOTHING`."""
    return np.divide(1, variance, out=np.zeros_like(variance), where=variance > NOTHING)


@dataclass(frozen=True, eq=False)
class Lineup:
    """Templates to choose from: K of them, drawn over the square of a cut.

    Attributes:
        rgba: [4, K, SIDE * SIDE] premultiplied, in the blend space: those of the job, then strange ones. Colors are
            what a sprite shows of them besides its tint: their own, their luma, or some of each.
        own: how many are of the job.
        colors: whether sprites show any; otherwise its outline alone counts.
    """

    rgba: Float32Array
    own: int
    colors: bool

    @classmethod
    def of(cls, atlas: Atlas, which: Int32Array, mix: float, shade: float) -> Lineup:
        """The templates `which` of an atlas, without repeats, and the strange ones; `mix`, `shade`: as in a `Scene`."""
        strange = strange_templates()
        drawn = [
            templates_stretched(each, indices, SIDE, REACH).reshape(-1, SIDE * SIDE, 4).transpose(2, 0, 1)
            for each, indices in ((atlas, which), (strange, np.arange(strange.count, dtype=np.int32)))
        ]
        rgba = np.concatenate(drawn, axis=1)
        luma = np.tensordot(np.array(LUMA, rgba.dtype), rgba[:3], 1)
        rgba[:3] = mix * rgba[:3] + (1 - mix) * shade * luma
        return cls(rgba, len(which), mix > 0 or shade > 0)

    def regression(self, weight: Float32Array) -> Regression:
        """The regression of cuts with these weights [M, SIDE * SIDE] on the templates."""
        return Regression(self.rgba, self.colors, weight)

    @cached_property
    def alike(self) -> BoolArray:
        """[own, K]: whether a cut that shows a template of the job shows the other one just as well."""
        regression = self.regression(np.ones((self.own, SIDE * SIDE), np.float32))

        def share(channels: list[int]) -> Float32Array:
            values = np.zeros((4, self.own, SIDE * SIDE), np.float32)
            values[channels] = self.rgba[channels, : self.own]
            squares = [np.square(regression.without_planes(values[channel])) for channel in channels]
            whole = np.sum(squares, axis=(0, 2))[:, None]
            return np.where(whole > NOTHING, regression.squares_explained(values) / np.maximum(whole, NOTHING), 1)

        result = share([3]) >= ALIKE
        return result & (share([0, 1, 2]) >= ALIKE) if self.colors else result

    def candidates(self, template: Int64Array, rng: np.random.Generator) -> BoolArray:
        """[M, K]: the candidates of sprites besides their own template: those of the job first, then strange ones.

        None of them looks like the sprite's own.

        Args:
            template: [M] which of the job's templates here is each sprite's own.
            rng: chooses.
        """
        result = np.zeros((len(template), self.rgba.shape[1]), bool)
        for row, own in zip(result, template.tolist()):
            others = np.flatnonzero(~self.alike[own])
            others = others[others != own]
            of_job = rng.permutation(others[others < self.own])
            row[np.concatenate([of_job, others[others >= self.own]])[: CANDIDATES - 1]] = True
        return result


def recognized(regression: Regression, cuts: Cuts, template: Int64Array, candidates: BoolArray) -> BoolArray:
    """[M]: whether a sprite's own template explains its cut better than every candidate.

    Args:
        regression: on the templates of a `Lineup`, with the weights of the cuts.
        template, candidates: see `Lineup.candidates`.
    """
    explained = regression.squares_explained(cuts.values)
    own = explained[np.arange(len(template)), template]
    seen = own > FAINT**2 * cuts.weight.sum(axis=1)
    return np.asarray(seen & (own > np.where(candidates, explained, 0).max(axis=1, initial=0)))


def templates_to_compare(template: Int32Array, count: int, rng: np.random.Generator) -> Int32Array:
    """Templates of a job among which sprites are recognized: their own ones, and up to `CANDIDATES` in all.

    Args:
        template: [M] those of the sprites.
        count: number of the job's templates.
        rng: chooses.
    """
    used = np.unique(template)
    unused = np.setdiff1d(np.arange(count), used)
    more = rng.permutation(unused)[: max(0, CANDIDATES - len(used))]
    return np.asarray(np.concatenate([used, more]), np.int32)
