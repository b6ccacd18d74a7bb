# SPDX-License-Identifier: GPL-3.0-or-later
"""Structure-aware initialization: large sprites in smooth parts at the bottom, small ones in salient parts on top.

DiffBMP (arXiv 2602.22625) draws positions by local variance. Here they are stratified along a space-filling curve
weighted by saliency, each sprite's size follows from the room that the draw left it, and templates with a long axis lie
along the edges of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import IntegerArray
from ...sprites import Sprites
from ..picture_statistics import box_mean, saliency
from .sampler import SamplerSettings, SpriteSampler
from .template_shape import TemplateShape, measure_template

__all__ = ["InitialiseSettings", "SamplerSettings", "SpriteSampler", "TemplateShape", "initialise", "measure_template"]


@dataclass(frozen=True)
class InitialiseSettings:
    """How sprites begin.

    Attributes:
        sampler: how a sprite is made for its place.
        overdraw: mean number of sprites over a point.
        crowding: how many times `overdraw` sprites may lie over a point before they start fainter.
        flat_density: sampling density where nothing is salient, against 1 where most is; above 0.
        size_jitter: largest change of the logarithm of a sprite's radius.
    """

    sampler: SamplerSettings = SamplerSettings()
    overdraw: float = 2.2
    crowding: float = 1.5
    flat_density: float = 0.12
    size_jitter: float = 0.35


def initialise(
    sampler: SpriteSampler,
    count: int,
    rng: np.random.Generator,
    settings: InitialiseSettings,
    template: IntegerArray | None = None,
) -> Sprites:
    """Sample the first sprites of a group, bottom of the stack first.

    Args:
        sampler: target and templates.
        count: N.
        rng: source of every random choice.
        settings: see `InitialiseSettings`.
        template: [N] the templates from the bottom of the stack to its top; None chooses.

    Returns:
        N sprites, float64.
    """
    alpha = sampler.alpha
    contrast = saliency(sampler.target.astype(np.float64))
    density = (settings.flat_density + (1 - settings.flat_density) * contrast) * alpha + 1e-9
    row, column = sampler.draw(density, count, rng)
    # Room for one sprite here, in pixels, and from it the radius of a disc that covers it `overdraw` times over.
    room = sampler.group.within(density).sum() / (count * box_mean(density, 2)[row, column])
    jitter = rng.uniform(-settings.size_jitter, settings.size_jitter, count)
    radius = np.sqrt(settings.overdraw * room / np.pi) * np.exp(jitter)
    if template is not None:
        stack = np.argsort(-radius, kind="stable")
        return sampler.at(row[stack], column[stack], radius[stack], rng, template)
    sprites = sampler.at(row, column, radius, rng)
    stack = np.argsort(-sprites.scale, kind="stable")
    thinned = sprites.opacity * _opacity_factor(sampler, sprites, settings, float(alpha.sum()))
    return replace(sprites, opacity=thinned).take(stack)


def _opacity_factor(sampler: SpriteSampler, sprites: Sprites, settings: InitialiseSettings, area: float) -> float:
    """Below 1 where the smallest allowed size piles sprites far higher than `overdraw` on `area` pixels.

    In a pile of opaque ones none would have a gradient: what lies below is occluded, and the top one changes nothing.
    """
    covered = (4 * sprites.scale**2 * sampler.filled[sprites.template]).sum()
    return float(min(1.0, settings.crowding * settings.overdraw * max(area, 1.0) / covered))
