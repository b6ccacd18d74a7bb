# SPDX-License-Identifier: GPL-3.0-or-later
"""Proposals: other templates, poses and z-orders, evaluated exactly and accepted where they lower the error.

Gradients move a sprite downhill; they cannot swap its template, turn it by half, or lift it over its neighbor. So now
and then each sprite is offered a few candidates. `evaluate` says what each would do to the error, with the opacity and
the tint that suit it best, and constraints charge for what they pull sprites away from. The best are accepted at once
as far as they do not touch each other: then their gains add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import BoolArray, Float64Array, FloatArray, Int64Array
from ...raster import StackPosition
from ...sprites import Sprites
from ..initialise import SpriteSampler
from ..optimiser import Optimiser
from .importance import candidates_on_canvas, evaluate, squared_error


@dataclass(frozen=True)
class ProposalSettings:
    """How much is proposed, and what.

    Attributes:
        candidates: for each sprite in one round where templates keep their colors; where they are tinted, which gains
            little by more, half as many. 0 for none at all.
        interval: steps between two rounds, unless there would be more than `rounds`.
        rounds: in one fit, at most.
        first, last: fractions of the steps between which there are rounds.
        to_top, to_bottom: fractions of the candidates that go to the top and to the bottom of the stack.
        unchanged: fraction of both that change in nothing else.
        by_color: fraction whose template is drawn as at initialization, by its color; half of the others keep theirs.
        by_signature: fraction whose template is one of those that suit the place best, where there are too many
            templates to try all; half of the others keep theirs.
        any_angle: fraction at any angle; the others lie as the sprite does, either way round.
        size_jitter, angle_jitter: standard deviations of the logarithm of the scale, and of the angle (radians).
        shift: standard deviation of the center's shift, as a fraction of the scale.
        spacing: two changes of one round are at least this fraction of their sprites' sizes apart.
        alpha_max: opacity, at most, as a fraction of that of the fit: an opaque sprite would have no gradient.
    """

    candidates: int = 4
    interval: int = 5
    rounds: int = 250
    first: float = 0.02
    last: float = 0.9
    to_top: float = 0.1
    to_bottom: float = 0.05
    unchanged: float = 0.5
    by_color: float = 0.25
    by_signature: float = 0.3
    any_angle: float = 0.5
    size_jitter: float = 0.25
    angle_jitter: float = 0.15
    shift: float = 0.25
    spacing: float = 0.45
    alpha_max: float = 0.97

    def candidates_at(self, mix: float) -> int:
        """Candidates of one round at a color mix, 0 to 1."""
        return math.ceil(0.5 * (1 + mix) * self.candidates)

    def interval_of(self, steps: int) -> int:
        """Steps from one round to the next."""
        return max(self.interval, round((self.last - self.first) * steps / self.rounds))

    def is_due(self, done: int, steps: int) -> bool:
        """Whether a round comes after `done` of `steps` steps."""
        within = self.first * steps <= done < self.last * steps
        return self.candidates > 0 and within and done % self.interval_of(steps) == 0


@dataclass(frozen=True, eq=False)
class Proposals:
    """M candidates, each for one sprite.

    Attributes:
        sprites: the candidates.
        replaces: [M] index of the sprite that each would replace.
        position: [M] where in the stack it would come, of `smalti.engine.raster.StackPosition`.
    """

    sprites: Sprites
    replaces: Int64Array
    position: Int64Array

    def take(self, which: Int64Array) -> Proposals:
        """Those with the indices `which`."""
        return Proposals(self.sprites.take(which), self.replaces[which], self.position[which])

    def accept(self, optimiser: Optimiser) -> None:
        """Let them take their places."""
        optimiser.parameters.substitute(self.replaces, self.sprites, self.position)


def propose(
    optimiser: Optimiser, samplers: Sequence[SpriteSampler], settings: ProposalSettings, rng: np.random.Generator
) -> int:
    """One round, in which each sampler's group is offered its own. Returns how many sprites were changed."""
    now = optimiser.sprites()
    number = settings.candidates_at(optimiser.settings.colour_mix)
    offers = []
    for sampler in samplers:
        members = sampler.group.members(now.template)
        offer = candidates_for(now.take(members), sampler, number, optimiser.settings.lock_scale, settings, rng)
        offers.append(replace(offer, replaces=members[offer.replaces]))
    offered = Proposals(
        Sprites.joined([offer.sprites for offer in offers]),
        np.concatenate([offer.replaces for offer in offers]),
        np.concatenate([offer.position for offer in offers]),
    )
    scores = evaluate(optimiser, offered.sprites, offered.replaces, offered.position)
    opaque = max(settings.alpha_max * optimiser.settings.alpha_max, optimiser.settings.alpha_min)
    opacity = np.minimum(scores.opacity, opaque)
    offered = replace(offered, sprites=replace(offered.sprites, opacity=opacity, tint=scores.tint))
    gain = scores.gain - _costs(optimiser, offered)
    chosen = offered.take(_spaced(now, offered, gain, optimiser, settings.spacing))
    if optimiser.settings.blend_space == "linear" and len(chosen.replaces):
        chosen = _display_improving(optimiser, now, chosen)
    if len(chosen.replaces):
        chosen.accept(optimiser)
    return len(chosen.replaces)


def _costs(optimiser: Optimiser, offered: Proposals) -> Float64Array | float:
    """[M]: what the constraints charge for each; 0 where they charge for none."""
    if optimiser.constraints is None:
        return 0.0
    sprites = offered.sprites
    candidates = candidates_on_canvas(optimiser, sprites, offered.replaces, offered.position)
    return optimiser.constraints.candidate_costs(optimiser, candidates, sprites.opacity)


def candidates_for(
    now: Sprites,
    sampler: SpriteSampler,
    number: int,
    lock_scale: bool,
    settings: ProposalSettings,
    rng: np.random.Generator,
) -> Proposals:
    """`number` candidates for each of N sprites, all of the sampler's group.

    Returns:
        M = N * number candidates without opacity and tint (0), with their `replaces` among these N.
    """
    of = np.tile(np.arange(len(now)), number)
    count, old = len(of), now.take(of)
    x, y, scale = (values.astype(np.float64) for values in (old.x, old.y, old.scale))
    position, changed = _positions(count, settings, rng)
    row, column = (
        np.clip(places.astype(np.int64), 0, length - 1) for places, length in zip((y, x), sampler.target.shape[:2])
    )
    likely = sampler.choose(row, column, scale, rng) if sampler.signatures is None else sampler.group.drawn(count, rng)
    template = _templates(old, likely, sampler, settings, rng)
    template = np.where(changed, template, old.template.astype(np.int64))
    theta = None
    if sampler.signatures is not None:
        theta = _angles(old, template, changed, sampler, settings, rng)
        which, suited = _suited(old, theta, changed, sampler, settings.by_signature, rng)
        template[which] = suited

    # As large as the old one, for the eye; about where it is.
    factor = np.sqrt(sampler.filled[old.template] / sampler.filled[template])
    factor *= np.exp(rng.normal(0, settings.size_jitter, count))
    if not lock_scale:
        scale = np.where(changed, sampler.allowed(scale * factor), scale)
    moved_x, moved_y = (np.where(changed, at + settings.shift * scale * rng.normal(size=count), at) for at in (x, y))
    held = sampler.group.holds(moved_x, moved_y)
    if theta is None:
        theta = _angles(old, template, changed, sampler, settings, rng)
    sprites = Sprites(
        template=template.astype(np.int32),
        x=np.where(held, moved_x, x),
        y=np.where(held, moved_y, y),
        scale=scale,
        aspect=np.where(changed, 0.0, old.aspect),
        theta=np.zeros(count) if sampler.upright else theta,
        opacity=np.zeros(count),
        tint=np.zeros((count, 3)),
    )
    return Proposals(sprites, of, position)


def _positions(count: int, settings: ProposalSettings, rng: np.random.Generator) -> tuple[Int64Array, BoolArray]:
    """Where in the stack candidates come, and which of them change in anything else; [M] each."""
    height = rng.uniform(size=count)
    above = settings.to_top + settings.to_bottom
    below = np.where(height < above, StackPosition.BOTTOM, StackPosition.IN_PLACE)
    position = np.where(height < settings.to_top, StackPosition.TOP, below)
    return position, (position == StackPosition.IN_PLACE) | (rng.uniform(size=count) >= settings.unchanged)


def _templates(
    old: Sprites, likely: Int64Array, sampler: SpriteSampler, settings: ProposalSettings, rng: np.random.Generator
) -> Int64Array:
    """Templates of candidates [M]: the likely ones by color, the old ones, or any of the group's."""
    count = len(old)
    by_color = rng.uniform(size=count) < settings.by_color
    keeps = rng.uniform(size=count) < 0.5
    others: Int64Array = np.where(keeps, old.template, sampler.group.drawn(count, rng))
    return np.where(by_color, likely, others)


def _suited(
    old: Sprites,
    theta: Float64Array,
    changed: BoolArray,
    sampler: SpriteSampler,
    share: float,
    rng: np.random.Generator,
) -> tuple[Int64Array, Int64Array]:
    """Which of candidates [M] at the angles `theta` [M] get a template that suits their place, and these templates.

    Args:
        share: of the candidates that are `changed` [M].
    """
    which = np.flatnonzero((rng.uniform(size=len(old)) < share) & changed)
    x, y, scale = (values[which].astype(np.float64) for values in (old.x, old.y, old.scale))
    angle = np.zeros(len(which)) if sampler.upright else theta[which]
    return which, sampler.suiting(x, y, scale, angle, rng)


def _angles(
    old: Sprites,
    template: Int64Array,
    changed: BoolArray,
    sampler: SpriteSampler,
    settings: ProposalSettings,
    rng: np.random.Generator,
) -> Float64Array:
    """Angles of candidates [M], radians: any, or along the old sprite's long axis, either way round."""
    count, theta = len(old), old.theta.astype(np.float64)
    along = theta + sampler.axis[old.template] - sampler.axis[template] + np.pi * rng.integers(0, 2, count)
    any_angle = rng.uniform(size=count) < settings.any_angle
    turned = np.where(any_angle, rng.uniform(-np.pi, np.pi, count), along + rng.normal(0, settings.angle_jitter, count))
    return np.where(changed, (turned + np.pi) % (2 * np.pi) - np.pi, theta)


def _display_improving(optimiser: Optimiser, now: Sprites, chosen: Proposals) -> Proposals:
    """Those of the candidates about which the display-encoded error falls.

    Candidates are evaluated in linear light, where the mean of black and white is far brighter than what looks best for
    both: a finely checkered target would turn pale.
    """
    before, state = squared_error(optimiser), optimiser.state()
    chosen.accept(optimiser)
    change = squared_error(optimiser) - before
    optimiser.restore(state)
    sums = np.pad(change.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    improving = _sum_about(now.take(chosen.replaces), sums) + _sum_about(chosen.sprites, sums) < 0
    return chosen.take(np.flatnonzero(improving))


def _sum_about(sprites: Sprites, sums: Float64Array) -> Float64Array:
    """[M]: the sum of a plane over the squares about M sprites, from its summed-area table [H + 1, W + 1]."""

    def ends(center: FloatArray, length: int) -> list[Int64Array]:
        return [np.clip(np.rint(center + side * sprites.scale), 0, length).astype(np.int64) for side in (-1, 1)]

    (top, bottom), (left, right) = ends(sprites.y, len(sums) - 1), ends(sprites.x, sums.shape[1] - 1)
    total: Float64Array = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total


def _spaced(now: Sprites, offered: Proposals, gain: Float64Array, optimiser: Optimiser, spacing: float) -> Int64Array:
    """Which candidates to accept: the best first, none near another, each sprite once; in order of `replaces`.

    None whose bitmap may not be used once more, or there.
    """
    uses, size = optimiser.uses(now), optimiser.size
    cell = max(2.0, 0.25 * float(np.median(now.scale)))
    taken = np.zeros([int(length / cell) + 2 for length in size], bool)

    def cells(sprites: Sprites, k: int) -> tuple[slice, slice]:
        x, y, reach = float(sprites.x[k]), float(sprites.y[k]), spacing * float(sprites.scale[k])
        rows, columns = (slice(max(int((at - reach) / cell), 0), max(int((at + reach) / cell) + 1, 1)) for at in (y, x))
        return rows, columns

    chosen, used = [], set()
    order = np.argsort(-gain, kind="stable")
    for j in order[gain[order] > 0].tolist():
        k = int(offered.replaces[j])
        both = cells(now, k), cells(offered.sprites, j)
        if k in used or any(taken[place].any() for place in both):
            continue
        new = offered.sprites
        if uses is not None and not uses.try_change(k, int(new.template[j]), complex(new.x[j], new.y[j])):
            continue
        for place in both:
            taken[place] = True
        used.add(k)
        chosen.append(j)
    accepted = np.array(chosen, np.int64)
    return accepted[np.argsort(offered.replaces[accepted], kind="stable")]
