# SPDX-License-Identifier: GPL-3.0-or-later
"""Deaths and births: sprites of no use fade out, and come back where the picture got worse.

A sprite keeps its place in the stack and its bitmap. Only one that has faded out is put elsewhere, so none leaps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import BoolArray, Float32Array, Float64Array, Int64Array
from ...raster import StackPosition
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..strategy.importance import evaluate, removal_errors, squared_error


@dataclass(frozen=True)
class RebirthSettings:
    """How many sprites are put elsewhere, and how.

    Attributes:
        share: of the sprites that may be faded out, or on their way, at a time.
        bad: levels by which a place must have got worse for one to be needed there.
        asleep: opacity below which one has faded out.
        places: candidates for each.
        sizes: of a candidate, as fractions of those of other sprites.
        gain: least gain, as a fraction of the median use of a sprite.
    """

    share: float = 0.06
    bad: float = 6.0
    asleep: float = 0.02
    places: int = 16
    sizes: tuple[float, float] = (0.5, 1.0)
    gain: float = 0.5


def dying(optimiser: Optimiser, worse: Float32Array, already: BoolArray, settings: RebirthSettings) -> BoolArray:
    """[N]: which sprites are to fade out: those that do, and more of the least use if the picture wants them.

    Args:
        optimiser: with the moved sprites, before the first step of the frame.
        worse: [H, W] levels by which the picture got worse.
        already: [N] which are on their way.
        settings: see there.
    """
    opacity = optimiser.parameters.opacity
    asleep = opacity < settings.asleep
    already = already & ~asleep
    radius = float(np.median(optimiser.sprites().scale))
    needed = int(np.count_nonzero(worse > settings.bad) / max(radius**2, 1.0))
    missing = min(needed, int(settings.share * len(opacity))) - int(np.count_nonzero(already | asleep))
    if missing <= 0:
        return already
    use = removal_errors(optimiser)
    use[already | asleep] = np.inf
    least = np.argsort(use, kind="stable")[:missing]
    chosen = already.copy()
    chosen[least[use[least] < settings.gain * np.median(use[np.isfinite(use)])]] = True
    return chosen


def give_birth(
    optimiser: Optimiser, worse: Float32Array, first_opacity: float, rng: np.random.Generator, settings: RebirthSettings
) -> Int64Array:
    """Put sprites that have faded out where they help most. Returns which.

    Args:
        optimiser, worse, settings: as `dying`.
        first_opacity: with which one begins at most.
        rng: of the frame.
    """
    now = optimiser.parameters.placed()
    asleep, places = np.flatnonzero(now.opacity < settings.asleep), worse > settings.bad
    if not len(asleep) or not places.any():
        return np.zeros(0, np.int64)
    density = np.where(places, squared_error(optimiser).astype(np.float64), 0.0).ravel()
    if density.sum() <= 0:
        return np.zeros(0, np.int64)
    replaces = np.tile(asleep, settings.places)
    offered = _candidates(now, replaces, density / density.sum(), worse.shape, optimiser, rng, settings)
    scores = evaluate(optimiser, offered, replaces, np.full(len(replaces), StackPosition.IN_PLACE))
    use = removal_errors(optimiser)
    least = settings.gain * float(np.median(use[now.opacity >= settings.asleep]))
    chosen = _apart(offered, replaces, scores.gain, max(least, 0.0))
    opacity = np.minimum(scores.opacity[chosen], first_opacity)
    born = replace(offered.take(chosen), opacity=opacity, tint=scores.tint[chosen])
    optimiser.parameters.set(replaces[chosen], born)
    return np.asarray(replaces[chosen])


def _candidates(
    now: Sprites,
    replaces: Int64Array,
    probability: Float64Array,
    size: tuple[int, ...],
    optimiser: Optimiser,
    rng: np.random.Generator,
    settings: RebirthSettings,
) -> Sprites:
    """M candidates for the sprites `replaces` [M], of their bitmaps, at places drawn by a probability [H * W]."""
    count = len(replaces)
    row, column = np.divmod(rng.choice(len(probability), count, p=probability), size[1])
    offered = now.take(replaces)
    locked = optimiser.settings.locked
    awake = now.scale[now.opacity >= settings.asleep]
    scale = rng.choice(awake, count) * rng.uniform(*settings.sizes, count)
    low, high = (0.5 * bound for bound in optimiser.settings.size_range)
    return replace(
        offered,
        x=column + rng.uniform(0, 1, count),
        y=row + rng.uniform(0, 1, count),
        scale=offered.scale if "log_scale" in locked else np.clip(scale, low, high),
        theta=offered.theta if "theta" in locked else rng.uniform(-np.pi, np.pi, count),
    )


def _apart(offered: Sprites, replaces: Int64Array, gain: Float64Array, least: float) -> Int64Array:
    """Which of M candidates to take: the best first, none over the middle of another, each sprite once."""
    left = np.argsort(-gain, kind="stable")
    left = left[gain[left] > least]
    chosen: list[int] = []
    while len(left):
        best = int(left[0])
        chosen.append(best)
        distance = np.hypot(offered.x[left] - offered.x[best], offered.y[left] - offered.y[best])
        reach = 0.5 * (offered.scale[left] + offered.scale[best])
        left = left[(distance > reach) & (replaces[left] != replaces[best])]
    return np.array(chosen, np.int64)
