# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples sprites for a target: positions by a density, sizes by a radius, templates by color, angles along edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import Float64Array, FloatArray, Int64Array, IntegerArray
from ...sprites import Sprites
from ..groups import Group
from ..picture_statistics import box_mean, edge_orientation
from .signatures import Signatures
from .template_shape import TemplateShape


@dataclass(frozen=True)
class SamplerSettings:
    """How sprites are made for given places.

    Attributes:
        opacity: of every new sprite, before `alpha_max`.
        largest_compensation: factor, at most, by which a sprite of a template with holes is larger.
        tint_noise: standard deviation of the noise on tints, 0 to 1.
        tint_range: smallest and largest value of a tint's channels: at 0 and 1 a logit has no gradient.
        template_spread: squared color distance within which templates are about equally likely, at color mix 1.
        nearest: where templates are chosen by their signatures, how many of those that suit a place best take turns.
        pairs: of a sprite and a template that are compared at a time, to bound memory.
    """

    opacity: float = 0.8
    largest_compensation: float = 2.5
    tint_noise: float = 0.02
    tint_range: tuple[float, float] = (0.02, 0.98)
    template_spread: float = 0.02
    nearest: int = 6
    pairs: int = 2**21


class SpriteSampler:
    """Makes sprites of one group for places of a target.

    Args:
        target: [H, W, 4] premultiplied, in the blend space. It is kept as it is, for the sake of memory.
        shapes: the templates of all groups.
        mix: color mix, 0 to 1.
        group: the sprites' templates, sizes and place.
        upright: every sprite has theta 0.
        settings: see `SamplerSettings`.
        signatures: by which templates are chosen, where there are too many to try all; None for few.
    """

    def __init__(
        self,
        target: FloatArray,
        shapes: Sequence[TemplateShape],
        mix: float,
        group: Group,
        upright: bool,
        settings: SamplerSettings,
        signatures: Signatures | None = None,
    ) -> None:
        self.signatures = signatures
        self.target = target
        self.shapes = shapes
        self.group = group
        self.upright = upright
        self.settings = settings
        self._mix = mix
        self._order = hilbert_order(target.shape[1], target.shape[0])
        self._along, self._coherence = edge_orientation(target[..., :3].astype(np.float64))
        self._means: dict[int, FloatArray] = {}
        longer = np.array([max(s.width, s.height) for s in shapes], np.float64)
        # How much of a square about the template is covered, and where its long axis lies.
        # Among many templates some are all but empty; one of those that is as large as another one for the eye, to be
        # tried in its place, would be larger than all else that is tried together.
        least = 1e-6 if signatures is None else np.pi / 4 / settings.largest_compensation**2
        self.filled = np.maximum(np.array([s.coverage * s.width * s.height for s in shapes]) / longer**2, least)
        self.axis = np.array([s.axis for s in shapes])
        self._elongation = np.array([s.elongation for s in shapes])
        self._color = np.array([s.color for s in shapes])

    @property
    def alpha(self) -> Float64Array:
        """[H, W] that of the target."""
        return self.target[..., 3].astype(np.float64)

    def of_group(self, group: Group) -> SpriteSampler:
        """The same for another group; what is known of the target is shared."""
        other = copy.copy(self)
        other.group = group
        return other

    def draw(self, density: Float64Array, count: int, rng: np.random.Generator) -> tuple[Int64Array, Int64Array]:
        """Rows and columns of `count` pixels, spread evenly with the density [H, W] within the group's mask.

        The density must not be 0 everywhere within it. Positions are stratified along a Hilbert curve, which spreads
        them like blue noise instead of clumping.
        """
        cumulative = np.cumsum(self.group.within(density).ravel()[self._order])
        draw = (np.arange(count) + rng.uniform(0, 1, count)) / count * cumulative[-1]
        pixel = self._order[np.minimum(np.searchsorted(cumulative, draw), len(self._order) - 1)]
        row, column = np.divmod(pixel, density.shape[1])
        return row, column

    def at(
        self,
        row: Int64Array,
        column: Int64Array,
        radius: Float64Array,
        rng: np.random.Generator,
        template: IntegerArray | None = None,
    ) -> Sprites:
        """Sprites that cover about as much as discs of `radius` [N] pixels about the pixels `row`, `column` [N].

        `template` [N] gives their templates; None chooses them. Float64.
        """
        count, settings = len(row), self.settings
        color = self._color_under(row, column, radius)
        # A template with holes or a slim one is made larger, so that it covers as much; within reason.
        compensation = np.minimum(np.sqrt(np.pi / 4 / self.filled), settings.largest_compensation)
        if template is None and self.signatures is not None and self.upright:
            typical = self.allowed(radius * np.median(compensation[self.group.templates]))
            template = self.suiting(column.astype(np.float64), row.astype(np.float64), typical, np.zeros(count), rng)
        elif template is None:
            template = self._choose(color, rng)
        scale = self.allowed(radius * compensation[template])

        axis, elongation = self.axis[template], self._elongation[template]
        aligned = rng.uniform(0, 1, count) < self._coherence[row, column] * np.minimum(2 * elongation, 1)
        half_turn = np.pi * rng.integers(0, 2, count)
        theta = np.where(aligned, self._along[row, column] - axis + half_turn, rng.uniform(-np.pi, np.pi, count))
        theta = np.zeros(count) if self.upright else (theta + np.pi) % (2 * np.pi) - np.pi

        tint = (color - self._mix * self._color[template]) / max(1 - self._mix, 0.05)
        return Sprites(
            template=template.astype(np.int32),
            x=column + rng.uniform(0, 1, count),
            y=row + rng.uniform(0, 1, count),
            scale=scale,
            aspect=np.zeros(count),
            theta=theta,
            opacity=np.full(count, settings.opacity),
            tint=np.clip(tint + rng.normal(0, settings.tint_noise, tint.shape), *settings.tint_range),
        )

    def choose(self, row: Int64Array, column: Int64Array, radius: Float64Array, rng: np.random.Generator) -> Int64Array:
        """Templates [N] for sprites of about `radius` [N] pixels about these pixels: by color where colors show."""
        return self._choose(self._color_under(row, column, radius), rng)

    def suiting(
        self, x: Float64Array, y: Float64Array, scale: Float64Array, theta: Float64Array, rng: np.random.Generator
    ) -> Int64Array:
        """Templates [N], by their signatures, for sprites that lie so; only where there are signatures."""
        assert self.signatures is not None
        height, width = self.target.shape[:2]
        cells = self.signatures.offsets() * scale[:, None, None]  # [N, K, 2]
        cos, sin = np.cos(theta)[:, None], np.sin(theta)[:, None]
        column = x[:, None] + cos * cells[..., 0] - sin * cells[..., 1]
        row = y[:, None] + sin * cells[..., 0] + cos * cells[..., 1]
        colors = self._means_at(
            np.clip(row.astype(np.int64), 0, height - 1).ravel(),
            np.clip(column.astype(np.int64), 0, width - 1).ravel(),
            np.repeat(2 * scale / self.signatures.side, cells.shape[1]),
        )
        places = colors.reshape(*cells.shape[:2], 3).astype(np.float32)
        return self.signatures.nearest(places, self.group.templates, self.settings.nearest, rng)

    def distances(self, sprites: Sprites) -> Float64Array:
        """[N, number of the group's templates]: how far the colors that show are from those under N sprites.

        Squared; 0 where only alpha shows.
        """
        height, width = self.target.shape[:2]
        row, column = (
            np.clip(at.astype(np.int64), 0, length - 1) for at, length in ((sprites.y, height), (sprites.x, width))
        )
        under = self._color_under(row, column, sprites.scale.astype(np.float64))
        colors = self._color[self.group.templates.start : self.group.templates.stop]
        away = (under**2).sum(axis=1)[:, None] + (colors**2).sum(axis=1) - 2 * under @ colors.T
        return np.asarray(self._mix**2 * np.maximum(away, 0))

    def allowed(self, scale: Float64Array) -> Float64Array:
        """Scales clipped to the group's range of sizes."""
        return np.clip(scale, 0.5 * self.group.size_range[0], 0.5 * self.group.size_range[1])

    def _color_under(self, row: Int64Array, column: Int64Array, radius: Float64Array) -> Float64Array:
        """[N, 3] straight mean color of the target about each position, over roughly the sprite's radius."""
        return self._means_at(row, column, 0.5 * radius)

    def _means_at(self, row: Int64Array, column: Int64Array, side: Float64Array) -> Float64Array:
        """[N, 3] straight mean color of the target about each position, over squares of about `side` [N] pixels."""
        colors = np.zeros((len(row), 3))
        steps = np.clip(np.rint(np.log2(np.maximum(side, 1))), 0, 6).astype(int)
        for step in np.unique(steps).tolist():
            if step not in self._means:
                self._means[step] = box_mean(self.target, 2**step // 2).astype(np.float32)
            here = steps == step
            picked = self._means[step][row[here], column[here]].astype(np.float64)
            colors[here] = picked[:, :3] / np.maximum(picked[:, 3:], 1e-3)
        return colors

    def _choose(self, color: Float64Array, rng: np.random.Generator) -> Int64Array:
        """Templates for N sprites: in the group's shares where only their alpha shows, else by color."""
        first, number = self.group.templates.start, len(self.group.templates)
        shares = self.group.dealt(len(color), rng)
        if self._mix == 0 or number == 1:
            return shares
        # Gumbel's trick draws from exp(-distance / spread) without a loop; a small mix chooses nearly freely.
        spread = self.settings.template_spread / self._mix**2
        own = self._color[first : first + number]
        chosen = np.zeros(len(color), np.int64)
        together = max(1, self.settings.pairs // number)
        for start in range(0, len(color), together):
            some = color[start : start + together]
            # One template at a time: sprites x templates x channels at once would not fit for large folders and counts.
            distance = np.stack([((some - each) ** 2).sum(axis=1) for each in own], axis=1)
            luck = rng.gumbel(size=distance.shape)
            likelihood = -distance / spread
            if self.group.weights is not None:
                likelihood += np.log(self.group.weights)
            chosen[start : start + together] = np.argmax(likelihood + luck, axis=1)
        return first + chosen


def hilbert_order(width: int, height: int) -> Int64Array:
    """The pixels (row * width + column) of a canvas in the order of a Hilbert curve over it."""
    order = max(1, int(np.ceil(np.log2(max(width, height)))))
    y, x = (g.ravel().astype(np.int64) for g in np.mgrid[0:height, 0:width])
    index = np.zeros_like(x)
    # The usual conversion from (x, y) to the distance along the curve, quadrant by quadrant.
    side = 1 << (order - 1)
    while side:
        right, lower = ((x & side) > 0).astype(np.int64), ((y & side) > 0).astype(np.int64)
        index += side * side * ((3 * right) ^ lower)
        flip = (lower == 0) & (right == 1)
        x, y = (
            np.where(flip, side - 1 - (x & (side - 1)), x & (side - 1)),
            np.where(flip, side - 1 - (y & (side - 1)), y & (side - 1)),
        )
        x, y = np.where(lower == 0, y, x), np.where(lower == 0, x, y)
        side >>= 1
    return np.argsort(index, kind="stable")
