# SPDX-License-Identifier: GPL-3.0-or-later
"""Relocation: the least important sprites move to where the error is, and occluded ones to where they are visible.

Importance is exact: by how much the error would grow without a sprite (see importance.py). Estimates were not good
enough (docs/fitting-measurements.md). Importance and error are squared differences whatever the fit minimizes; weights
of pixels count in the error alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float64Array, FloatArray, Int64Array
from ...raster import StackPosition
from ...sprites import Sprites
from ..initialise import SpriteSampler
from ..optimiser import Optimiser
from ..picture_statistics import box_mean
from .importance import blending_weights, evaluate, removal_errors, squared_error


@dataclass(frozen=True)
class RelocateSettings:
    """When and how unimportant sprites are relocated.

    Attributes:
        first, last: fractions of the steps between which sprites are relocated; later ones would not settle.
        rounds: number of rounds, at most: as many as the steps allow with `interval` between them.
        interval: steps between two rounds, at least: a sprite needs some to settle.
        max_fraction: of the sprites that is relocated in one round, at most.
        threshold: a sprite is relocated only if its importance is below this fraction of the median.
        size_quantile: of the sprites' scales that a relocated one gets. Larger ones disturb more than they help.
        size_jitter: largest change of the logarithm of its radius.
    """

    first: float = 0.1
    last: float = 0.5
    rounds: int = 36
    interval: int = 12
    max_fraction: float = 0.05
    threshold: float = 0.25
    size_quantile: float = 0.1
    size_jitter: float = 0.4

    def is_due(self, done: int, steps: int) -> bool:
        """Whether a round comes after `done` of `steps` steps."""
        every = max(self.interval, round((self.last - self.first) * steps / self.rounds))
        return self.first * steps <= done < self.last * steps and done % every == 0


@dataclass(frozen=True)
class RelocateOccludedSettings:
    """When and how occluded sprites are relocated for the last time.

    Attributes:
        at: fraction of the steps after which they are; learning rates are low by then.
        threshold: a sprite counts as occluded if its blending weight is below this fraction of the median.
        rounds: at most: some come to lie over others, which are then occluded.
        remaining: fraction of the sprites that may be occluded after a round, for another one to follow.
        places: candidates for each of them.
        alpha_min: least opacity of a candidate, as a fraction of alpha_max.
    """

    at: float = 0.95
    threshold: float = 0.06
    rounds: int = 4
    remaining: float = 0.05
    places: int = 24
    alpha_min: float = 0.3

    def is_due(self, done: int, steps: int) -> bool:
        """Whether occluded sprites are relocated after `done` of `steps` steps."""
        return done == int(self.at * steps)


def relocate(
    optimiser: Optimiser, samplers: Sequence[SpriteSampler], settings: RelocateSettings, rng: np.random.Generator
) -> int:
    """One round, of each sampler's group by itself. Returns how many sprites were relocated.

    They go to the top of the stack, small, in the target's color.
    """
    importance = removal_errors(optimiser)
    sprites = optimiser.sprites()
    # Squared once more: the worst places first, and not a little everywhere.
    error = box_mean(squared_error(optimiser).astype(np.float64), 2)
    moved, fresh = [], []
    for sampler in samplers:
        members = sampler.group.members(sprites.template)
        chosen = members[_unimportant(importance[members], settings)]
        # Where the target has a hole that is covered, one more on top would only cover it better.
        density = (error * sampler.alpha) ** 2
        if not len(chosen) or not sampler.group.within(density).sum() > 0:
            continue
        row, column = sampler.draw(density, len(chosen), rng)
        small = np.quantile(sprites.scale[members], settings.size_quantile)
        radius = small * np.exp(rng.uniform(-settings.size_jitter, settings.size_jitter, len(chosen)))
        moved.append(chosen)
        fresh.append(sampler.at(row, column, radius, rng))
    if not moved:
        return 0
    which, others = _allowed(optimiser, sprites, np.concatenate(moved), Sprites.joined(fresh))
    if len(which):
        optimiser.parameters.move_to_top(which, others)
    return len(which)


def _allowed(optimiser: Optimiser, now: Sprites, which: Int64Array, others: Sprites) -> tuple[Int64Array, Sprites]:
    """Those of M moves that the limits on uses of bitmaps allow, some with other templates."""
    uses = optimiser.uses(now)
    if uses is None:
        return which, others
    kept, template = uses.move(which, others.template, others.x, others.y)
    return which[kept], replace(others, template=template.astype(np.int32)).take(kept)


def _unimportant(importance: Float64Array, settings: RelocateSettings) -> Int64Array:
    """Which of sprites of this importance [N] are relocated, in their order in the stack."""
    least = np.argsort(importance, kind="stable")[: max(1, int(settings.max_fraction * len(importance)))]
    return np.sort(least[importance[least] < settings.threshold * np.median(importance)])


def relocate_occluded(
    optimiser: Optimiser,
    samplers: Sequence[SpriteSampler],
    settings: RelocateOccludedSettings,
    rng: np.random.Generator,
) -> int:
    """Move occluded sprites to where they are visible and lower the error most, or raise it least. Returns how many.

    Of each sampler's group by itself. With templates in their own colors, sprites that find no place to be of use
    shrink away.
    """
    if optimiser.settings.lock_scale:
        return 0
    total = 0
    for turn in range(settings.rounds):
        weights, now = blending_weights(optimiser), optimiser.sprites()
        members = [sampler.group.members(now.template) for sampler in samplers]
        occluded = [
            own[weights[own] < settings.threshold * np.median(weights[own])] if len(own) else own for own in members
        ]
        count = sum(len(which) for which in occluded)
        # Where there is no room for all, each that comes occludes another.
        if not count or (turn and count > settings.remaining * len(weights)):
            break
        error = box_mean(squared_error(optimiser).astype(np.float64), 2)
        moved, fresh = [], []
        for sampler, own, which in zip(samplers, members, occluded):
            if len(which):
                visible = now.scale[own[weights[own] >= np.median(weights[own])]]
                fresh.append(_best_places(optimiser, sampler, error, visible, len(which), settings, rng))
                moved.append(which[: len(fresh[-1])])
        replaced, others = _allowed(optimiser, now, np.concatenate(moved), Sprites.joined(fresh))
        optimiser.parameters.substitute(replaced, others, np.full(len(replaced), StackPosition.TOP))
        total += len(replaced)
    return total


def _best_places(
    optimiser: Optimiser,
    sampler: SpriteSampler,
    error: Float64Array,
    scales: FloatArray,
    count: int,
    settings: RelocateOccludedSettings,
    rng: np.random.Generator,
) -> Sprites:
    """Up to `count` sprites for the top, apart from each other, the best of many candidates; as large as `scales`."""
    # Anywhere that the target is, and more where the error is.
    density = sampler.alpha * (error / max(error.mean(), 1e-12) + 1) + 1e-9
    row, column = sampler.draw(density, settings.places * count, rng)
    candidates = sampler.at(row, column, rng.choice(scales, len(row)) * rng.uniform(0.5, 1, len(row)), rng)
    nothing, on_top = np.full(len(row), -1), np.full(len(row), StackPosition.TOP)
    alpha_min = settings.alpha_min * optimiser.settings.alpha_max
    scores = evaluate(optimiser, candidates, nothing, on_top, alpha_min)
    candidates = replace(candidates, opacity=scores.opacity, tint=scores.tint)
    return candidates.take(spaced(candidates, scores.gain, count))


def spaced(sprites: Sprites, gain: Float64Array, most: int) -> Int64Array:
    """Which of N sprites to take: those of the highest gain [N] first, none over the middle of one that was taken."""
    x, y, reach = (values.astype(np.float64) for values in (sprites.x, sprites.y, sprites.scale))
    left = np.argsort(-gain, kind="stable")
    chosen: list[int] = []
    while len(left) and len(chosen) < most:
        best = left[0]
        chosen.append(int(best))
        left = left[np.hypot(x[left] - x[best], y[left] - y[best]) > 0.5 * (reach[left] + reach[best])]
    return np.array(chosen, np.int64)
