# SPDX-License-Identifier: GPL-3.0-or-later
"""Relocates, shrinks and drops sprites until none is occluded more than allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float64Array, Int64Array
from ...sprites import Sprites
from ..initialise import SpriteSampler
from ..picture_statistics import box_mean
from ..strategy.relocate import spaced
from .constraint import Refinement
from .visible_fraction import FinishedCanvas


@dataclass(frozen=True)
class RepairSettings:
    """How occluded sprites are repaired.

    Attributes:
        margin: factor on what is asked for, so that a picture of another size shows as much.
        size_quantile: of the sprites' scales that a relocated one gets at first.
        max_harm: largest fraction of the occlusion budget of others that a relocated sprite may use.
        refusals: moves in a row that do not make occluded sprites fewer, after which others shrink.
        shrinks: how often sprites over occluded ones shrink, at most.
        shrink: by what factor.
        over: pixels by which occluded sprites get more visible, per unit of the logarithm of a scale, above which a
            sprite is over them.
    """

    margin: float = 1.03
    size_quantile: float = 0.1
    max_harm: float = 0.5
    refusals: int = 12
    shrinks: int = 6
    shrink: float = 0.9
    over: float = 0.5


class VisibilityRepair:
    """Repairs occluded sprites.

    Args:
        min_visibility: fraction of each sprite that must be visible, 0 to 1.
        canvas: what the finished picture is drawn with.
        smallest: [T] half the longer side of the smallest sprite of each template, canvas pixels.
        lock_scale: relocated sprites keep their size, and none shrinks.
        alpha_max: highest opacity.
        settings: see `RepairSettings`.
    """

    def __init__(
        self,
        min_visibility: float,
        canvas: FinishedCanvas,
        smallest: Float64Array,
        lock_scale: bool,
        alpha_max: float,
        settings: RepairSettings,
    ) -> None:
        self._threshold = settings.margin * min_visibility
        self._canvas, self._smallest = canvas, smallest
        self._lock_scale, self._alpha_max = lock_scale, alpha_max
        self._settings = settings

    def relocated(
        self, sprites: Sprites, error: Float64Array, count: int, at: Refinement
    ) -> tuple[Int64Array, Sprites]:
        """The most occluded sprites, at most `count`, and others for the top instead, where the error is [H, W]."""
        fraction = self._canvas.visible_fraction(sprites)
        which = np.argsort(fraction, kind="stable")[:count]
        which = np.sort(which[fraction[which] < self._threshold])
        radius = float(np.quantile(sprites.scale, self._settings.size_quantile))
        return which, self._placed(sprites, which, error**2, radius, at)

    def repaired(self, sprites: Sprites, error: Float64Array, at: Refinement) -> Sprites:
        """All sprites, so changed that none is occluded, if that can be.

        Occluded ones move to where they cover little of what others cannot spare, to the top of the stack, as long as
        each move leaves fewer occluded. Where `refusals` tries in a row have failed, what lies over occluded sprites is
        made smaller, and the moves go on. Both end: there are at most as many moves as sprites between two times that
        sprites shrink, and at most `shrinks` of those.

        Args:
            sprites: all of them, float32.
            error: [H, W], where sprites are of use.
            at: what makes the sprites of each group, and brings all within the other constraints.
        """
        occluded = self._occluded(sprites)
        for _ in range(self._settings.shrinks + 1):
            sprites, occluded = self._moved(sprites, occluded, error, at)
            smaller = self._uncovered(sprites, occluded) if len(occluded) and not self._lock_scale else None
            if smaller is None:
                break
            sprites = at.constraints.finish(smaller)
            occluded = self._occluded(sprites)
        return sprites

    def kept(self, sprites: Sprites, most: int) -> Int64Array:
        """The indices of the sprites that stay where at most `most` of those that are occluded too much are dropped.

        The most occluded go first. Without them others are visible again, so those that touch are not dropped at once.
        """
        kept = np.arange(len(sprites))
        while most > 0 and len(kept) > 1:
            now = sprites.take(kept)
            fraction = self._canvas.visible_fraction(now)
            occluded = np.flatnonzero(fraction < self._threshold)
            if not len(occluded):
                break
            first = spaced(now.take(occluded), -fraction[occluded], min(most, len(kept) - 1))
            kept = np.delete(kept, occluded[first])
            most -= len(first)
        return kept

    def _occluded(self, sprites: Sprites) -> Int64Array:
        return np.flatnonzero(self._canvas.visible_fraction(sprites) < self._threshold)

    def _moved(
        self, sprites: Sprites, occluded: Int64Array, error: Float64Array, at: Refinement
    ) -> tuple[Sprites, Int64Array]:
        """The sprites after moves that leave fewer occluded, and which still are (see `repaired`)."""
        settings = self._settings
        radius, fraction, refused = float(np.quantile(sprites.scale, settings.size_quantile)), 1.0, 0
        while len(occluded) and refused < settings.refusals:
            which = occluded[: max(1, int(fraction * len(occluded)))]
            density = self._unoccupied(sprites, which, error, radius)
            if not density.any():  # no room for one of this size
                radius, refused = max(0.8 * radius, self._smallest.min()), refused + 1
                continue
            tried = sprites.moved_to_top(which, self._placed(sprites, which, density, radius, at))
            tried = at.constraints.finish(tried)
            left = self._occluded(tried)
            if len(left) < len(occluded):
                sprites, occluded, refused = tried, left, 0
            else:
                radius, fraction, refused = max(0.8 * radius, self._smallest.min()), 0.6 * fraction, refused + 1
        return sprites, occluded

    def _uncovered(self, sprites: Sprites, occluded: Int64Array) -> Sprites | None:
        """The sprites, those smaller that would show more of the occluded ones; None where none can shrink."""
        values = np.zeros(len(sprites))
        values[occluded] = 1
        gradient = self._canvas.scale_gradient(sprites, values)
        smallest = self._smallest[sprites.template].astype(sprites.scale.dtype)
        over = (gradient < -self._settings.over) & (sprites.scale > 1.001 * smallest)
        if not over.any():
            return None
        smaller = np.where(over, np.maximum(self._settings.shrink * sprites.scale, smallest), sprites.scale)
        return replace(sprites, scale=smaller.astype(sprites.scale.dtype))

    def _unoccupied(self, sprites: Sprites, moving: Int64Array, error: Float64Array, radius: float) -> Float64Array:
        """[H, W]: the error where a disc of this radius takes little of others' occlusion budgets, else 0."""
        weights, whole = self._canvas.visible(sprites)
        budget = np.maximum(weights - self._threshold * whole, 0.01 * whole)
        # Sprites that are occluded anyway, or moving away, have nothing to lose.
        need = np.where(weights < self._threshold * whole, 0, 1 / budget)
        need[moving] = 0
        highest = max(float(need.max()), 1e-12)
        window = int(np.ceil(radius))
        plane = self._canvas.splat(sprites, need / highest)
        harm = box_mean(plane * highest, window) * (2 * window + 1) ** 2
        return np.asarray((error + 1e-6) * (harm < self._settings.max_harm))

    def _placed(
        self, sprites: Sprites, which: Int64Array, density: Float64Array, radius: float, at: Refinement
    ) -> Sprites:
        """Sprites instead of `which`, sampled by the density [H, W], opaque and whole on the canvas."""
        places = [sampler.group.members(sprites.template[which]) for sampler in at.samplers]
        fresh = Sprites.joined(
            [self._sampled(sampler, density, radius, len(own), at) for sampler, own in zip(at.samplers, places)]
        )
        fresh = fresh.take(np.argsort(np.concatenate(places)))
        if self._lock_scale:
            fresh = replace(fresh, scale=sprites.scale[which].astype(np.float64))
        return fresh

    def _sampled(
        self, sampler: SpriteSampler, density: Float64Array, radius: float, count: int, at: Refinement
    ) -> Sprites:
        """`_placed` for `count` sprites of one group."""
        height, width = self._canvas.size
        edge = min(int(np.ceil(radius)), (min(height, width) - 1) // 2)
        inner = np.zeros((height, width))
        inner[edge : height - edge, edge : width - edge] = 1
        allowed = inner * (sampler.alpha > 0)
        weighted = density * allowed
        possible = weighted if sampler.group.within(weighted).any() else allowed + 1e-9
        row, column = sampler.draw(possible, count, at.rng)
        fresh = sampler.at(row, column, np.full(count, radius), at.rng)
        return replace(fresh, opacity=np.full(count, 0.999 * self._alpha_max))
