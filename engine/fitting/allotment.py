# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates for the first sprites, within what is allowed of the uses of bitmaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from smalti.bridge.job import JobSpec

from ..arrays import Float64Array, Int64Array
from ..sprites import Sprites
from .initialise import SpriteSampler
from .use_limits import UseLimits, Uses, distance_too_large


@dataclass(frozen=True)
class AllotmentSettings:
    """How templates are allotted.

    Attributes:
        noise: squared color distance below which templates are equally likely.
        preference: squared color distance that a template may lose by and still stay, where colors do not decide.
        pairs: of sprite and template, at most, for exchanges among all of them.
        work: numbers that all exchanges together may look at.
        rounds: of exchanges, at most.
        places: that are tried for a sprite for which no template is allowed where it is.
    """

    noise: float = 1e-4
    preference: float = 10.0
    pairs: int = 50_000_000
    work: int = 400_000_000
    rounds: int = 20
    places: int = 512

    def rounds_for(self, limits: UseLimits, count: int) -> int:
        """Rounds of exchanges for a number of sprites."""
        templates = len(limits.bitmap)
        copies = count // len(limits.most) + 1 if limits.distance else 1
        if count * templates > self.pairs:
            return 0
        return min(self.rounds, self.work // (count * (count * copies + templates)))


def allotted(
    limits: UseLimits,
    sprites: Sprites,
    samplers: Sequence[SpriteSampler],
    job: JobSpec,
    rng: np.random.Generator,
    settings: AllotmentSettings = AllotmentSettings(),
) -> Sprites:
    """The sprites, float64, with templates whose colors suit their places, as far as that is allowed.

    Where colors do not show, or templates were given, those that are allowed stay as they are.

    Raises:
        SmaltiError: copies of bitmaps cannot be as far apart as the job asks for.
    """
    stays = job.colour_mix == 0 or job.start is not None
    noise = settings.noise * rng.uniform(size=len(limits.bitmap))
    parts = [(sampler, sampler.group.members(sprites.template)) for sampler in samplers]

    def costs(which: Int64Array) -> Float64Array:
        result = np.full((len(which), len(limits.bitmap)), np.inf)
        for sampler, members in parts:
            (own,) = np.nonzero(np.isin(which, members))
            columns = slice(sampler.group.templates.start, sampler.group.templates.stop)
            result[own, columns] = sampler.distances(sprites.take(which[own])) + noise[columns]
        if stays:
            result[np.arange(len(which)), sprites.template[which]] -= settings.preference
        return result

    count = len(sprites)
    uses = Uses(limits, np.full(count, -1), sprites.x, sprites.y)
    order = rng.permutation(count)
    sprites = sprites.copy()
    for k in uses.fill(order.tolist(), costs):
        if not _moved(sprites, k, uses, parts, settings.places, rng):
            raise distance_too_large(job)
    rounds = 0 if stays else settings.rounds_for(limits, count)
    if rounds:
        uses.improve(costs(np.arange(count)).astype(np.float32), order, rounds)
    template = uses.template.astype(np.int32)
    scale = sprites.scale.copy()
    for sampler, members in parts:  # as large as before, for the eye
        filled = sampler.filled[sprites.template[members]] / sampler.filled[template[members]]
        scale[members] = sampler.allowed(scale[members] * np.sqrt(filled))
    return replace(sprites, template=template, scale=scale)


def _moved(
    sprites: Sprites,
    k: int,
    uses: Uses,
    parts: Sequence[tuple[SpriteSampler, Int64Array]],
    places: int,
    rng: np.random.Generator,
) -> bool:
    """Move sprite k to where a template is allowed, if there is such a place among some."""
    (sampler,) = (each for each, members in parts if k in members)
    row, column = sampler.draw(sampler.alpha + 1e-9, places, rng)
    for i in rng.permutation(places).tolist():
        x, y = np.array([column[i] + 0.5]), np.array([row[i] + 0.5])
        if uses.move(np.array([k]), uses.template[[k]], x, y)[0].all():
            sprites.x[k], sprites.y[k] = x[0], y[0]
            return True
    return False
