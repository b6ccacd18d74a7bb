# SPDX-License-Identifier: GPL-3.0-or-later
"""Other bitmaps, poses and places in the stack: tried exactly, and taken where they make the picture better.

Gradients move a sprite downhill; they cannot swap its bitmap, turn it by half, lift it over its neighbour or slip it
under. So now and then each sprite is offered a few alternatives. `evaluate_candidates` says what each would do to the
error, painted with the opacity and the tint that suit it best. The best are taken at once, as far as they do not touch
each other: then their effects add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...raster import StackPosition
from ..initialise import Floats, Placer, Sprites, joined
from ..optimiser import Optimiser
from .importance import squared_error, try_out


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes:
        tries: alternatives that each sprite is offered in one round where bitmaps keep their colours; where they are
            tinted, which gains little by more, half as many. 0 for none at all.
        every: steps between two rounds, unless there would be more than so many.
        rounds: in one fit, at most.
    """

    tries: int = 4
    every: int = 5
    rounds: int = 250

    def tries_at(self, mix: float) -> int:
        """Alternatives in one round at a colour mix, 0 to 1."""
        return math.ceil(0.5 * (1 + mix) * self.tries)


FIRST, LAST = 0.02, 0.9
"""Part of the steps in which bitmaps are exchanged."""
RAISED = 0.1
"""Share of the alternatives that come on top of the stack."""
LOWERED = 0.05
"""Share of the alternatives that come at its bottom."""
PLAIN = 0.5
"""Share of both that are not changed otherwise."""
LIKELY = 0.25
"""Share of the alternatives whose bitmap is drawn as at the start, by its colour; of the others half keep theirs."""
TURNED = 0.5
"""Share of the alternatives at any angle; the others lie as the sprite does, either way round."""
REACH = 0.45
"""Two changes in one round are at least this share of their sprites' sizes apart."""
OPAQUE = 0.97
"""Largest opacity that a sprite begins with: a fully opaque one would have no slope to leave by."""


def steps_apart(steps: int, effort: Effort) -> int:
    """Steps from one round to the next."""
    return max(effort.every, round((LAST - FIRST) * steps / effort.rounds))


def is_due(done: int, steps: int, effort: Effort) -> bool:
    """Whether bitmaps are exchanged after `done` of `steps` steps."""
    return effort.tries > 0 and FIRST * steps <= done < LAST * steps and done % steps_apart(steps, effort) == 0


def exchange(optimiser: Optimiser, placers: Sequence[Placer], tries: int, rng: np.random.Generator) -> int:
    """One round, in which each placer's group is offered its own. Returns how many sprites were changed."""
    now = optimiser.sprites()
    offers = []
    for placer in placers:
        own = placer.group.members(now["template"])
        some = {name: values[own] for name, values in now.items()}
        offered, of_own, places = alternatives(some, placer, tries, optimiser.settings.lock_scale, rng)
        offers.append((offered, own[of_own], places))
    sprites = joined([offered for offered, _, _ in offers])
    of, place = (np.concatenate([offer[i] for offer in offers]) for i in (1, 2))
    trial = try_out(optimiser, sprites, of, place)
    sprites |= {"opacity": np.minimum(trial.opacity, OPAQUE * optimiser.settings.alpha_max), "tint": trial.tint}
    chosen = _apart(now, sprites, of, trial.gain, optimiser.size)
    if optimiser.settings.blend_space == "linear" and len(chosen):
        chosen = _proven(optimiser, now, sprites, of, place, chosen)
    if len(chosen):
        _take(optimiser, sprites, of, place, chosen)
    return len(chosen)


def alternatives(
    now: Sprites, placer: Placer, tries: int, lock_scale: bool, rng: np.random.Generator
) -> tuple[Sprites, NDArray[np.int64], NDArray[np.int64]]:
    """`tries` for each of N sprites, all of the placer's group.

    Returns:
        M = N * tries sprites without their paint, [M] which sprite each would replace, and [M] where it comes, see
        `smalti.engine.raster.StackPosition`.
    """
    of = np.tile(np.arange(len(now["template"])), tries)
    count = len(of)
    x, y, scale, theta = (now[name][of].astype(np.float64) for name in ("x", "y", "scale", "theta"))
    old = now["template"][of].astype(np.int64)

    def share(of_all: float) -> NDArray[np.bool_]:
        return rng.uniform(size=count) < of_all

    height = rng.uniform(size=count)
    place = np.where(
        height < RAISED,
        StackPosition.TOP,
        np.where(height < RAISED + LOWERED, StackPosition.BOTTOM, StackPosition.IN_PLACE),
    )
    changed = (place == StackPosition.IN_PLACE) | ~share(PLAIN)
    row, column = (
        np.clip(places.astype(np.int64), 0, length - 1) for places, length in zip((y, x), placer.target.shape[:2])
    )
    likely, own = placer.choose(row, column, scale, rng), placer.group.templates
    template = np.where(share(LIKELY), likely, np.where(share(0.5), old, rng.integers(own.start, own.stop, count)))
    template = np.where(changed, template, old)

    # As large as the old one, for the eye; about where it is.
    larger = np.sqrt(placer.filled[old] / placer.filled[template]) * np.exp(rng.normal(0, 0.25, count))
    if not lock_scale:
        scale = np.where(changed, placer.allowed(scale * larger), scale)
    moved_x, moved_y = (np.where(changed, at + 0.25 * scale * rng.normal(size=count), at) for at in (x, y))
    held = placer.group.holds(moved_x, moved_y)
    x, y = np.where(held, moved_x, x), np.where(held, moved_y, y)
    lying = theta + placer.axis[old] - placer.axis[template] + np.pi * rng.integers(0, 2, count)
    turned = np.where(share(TURNED), rng.uniform(-np.pi, np.pi, count), lying + rng.normal(0, 0.15, count))
    theta = np.where(changed, (turned + np.pi) % (2 * np.pi) - np.pi, theta)
    sprites: Sprites = {
        "template": template.astype(np.int32),
        "x": x,
        "y": y,
        "scale": scale,
        "aspect": np.where(changed, 0.0, now["aspect"][of]),
        "theta": np.zeros(count) if placer.upright else theta,
    }
    return sprites, of, place


def _take(
    optimiser: Optimiser, sprites: Sprites, of: NDArray[np.int64], place: NDArray[np.int64], chosen: NDArray[np.int64]
) -> None:
    optimiser.exchange(of[chosen], {name: values[chosen] for name, values in sprites.items()}, place[chosen])


def _proven(
    optimiser: Optimiser,
    now: Sprites,
    sprites: Sprites,
    of: NDArray[np.int64],
    place: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Those of the alternatives `chosen` about which the error falls for the eye.

    Trials are judged in linear light, where the mean of black and white is far brighter than what looks best for both:
    a finely chequered target would turn pale.
    """
    before, state = squared_error(optimiser), optimiser.state()
    _take(optimiser, sprites, of, place, chosen)
    change = squared_error(optimiser) - before
    optimiser.restore(state)
    sums = np.pad(change.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def about(s: Sprites, which: NDArray[np.int64]) -> Floats:
        """[M] the sum of the change over the squares about sprites."""
        (top, bottom), (left, right) = (
            [
                np.clip(np.rint(s[name][which] + side * s["scale"][which]), 0, length).astype(np.int64)
                for side in (-1, 1)
            ]
            for name, length in zip(("y", "x"), change.shape)
        )
        total: Floats = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return total

    return chosen[about(now, of[chosen]) + about(sprites, chosen) < 0]


def _apart(
    now: Sprites, sprites: Sprites, of: NDArray[np.int64], gain: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Which alternatives to take: the best first, none near one that was taken, each sprite once; in order of `of`."""
    cell = max(2.0, 0.25 * float(np.median(now["scale"])))
    taken = np.zeros([int(length / cell) + 2 for length in size], bool)

    def cells(x: float, y: float, reach: float) -> tuple[slice, slice]:
        rows, columns = (slice(max(int((at - reach) / cell), 0), max(int((at + reach) / cell) + 1, 1)) for at in (y, x))
        return rows, columns

    chosen, used = [], set()
    order = np.argsort(-gain, kind="stable")
    for j in order[gain[order] > 0].tolist():
        k = int(of[j])
        both = [
            cells(float(s["x"][i]), float(s["y"][i]), REACH * float(s["scale"][i])) for s, i in ((now, k), (sprites, j))
        ]
        if k in used or any(taken[place].any() for place in both):
            continue
        for place in both:
            taken[place] = True
        used.add(k)
        chosen.append(j)
    found = np.array(chosen, np.int64)
    return found[np.argsort(of[found], kind="stable")]
