# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of a job: of its bitmaps and its text, and of its regions' bitmaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from smalti.bridge.choices import AUTO
from smalti.bridge.job import JobSpec, Mask
from smalti.bridge.settings import listed

from ..templates import Template, load_sources, load_templates
from ..templates.card import on_cards
from ..templates.scraps import scraps
from ..templates.shape import shaped
from ..templates.text import text_templates
from .grid import tile_texels


def load_bitmaps(
    job: JobSpec, size: tuple[int, int], templates: Sequence[Template] | None, counts: Sequence[int] | None
) -> list[list[Template]]:
    """The templates of each group; names of a region's begin with the name of its mask.

    Args:
        size: width and height of the canvas, pixels.
        templates: the job's own if they are loaded already.
        counts: how many of them each group has, where those of all groups are; they are as they shall be then.
    """
    if counts is not None:
        return split(templates or [], counts)
    own: list[Template] = []
    tile = tile_texels(job, size)
    mask: Mask = "alpha" if job.scraps is not None and job.mask == AUTO else job.mask  # pages stay whole
    if templates is not None:
        own = [template if tile is None else template.cropped(*tile) for template in templates]
    elif job.needs_bitmaps:
        sources = load_sources(listed(job.primitives), mask=mask, tile=tile)
        if job.text is not None:
            letters = text_templates(job.text, job.font, split=job.text_split)
            sources.append(on_cards(letters) if job.text_cards else letters)
        own = weighted([shaped(each, job.outline, job.fade) for each in sources], job.bitmap_weights)

    @cache
    def loaded(path: str) -> list[Template]:
        return offered(shaped(load_templates(Path(path), mask=mask), job.outline, job.fade), job)

    own = offered(own, job)
    result = [own] if job.count else []
    for region in job.regions:
        templates_there = own if region.primitives is None else loaded(region.primitives)
        result.append([replace(t, name=f"{Path(region.mask).stem} {t.name}") for t in templates_there])
    return result


def offered(templates: Sequence[Template], job: JobSpec) -> list[Template]:
    """The templates that a job makes of these: scraps, and mirror images after all of them, where it has any.

    Raises:
        SmaltiError: none is large enough for scraps.
    """
    if job.scraps is not None and templates:
        templates = scraps(templates, job.scraps, job.seed)
    mirrored = [t.mirrored() for t in templates] if job.mirror else []
    return [*templates, *mirrored]


def weighted(sources: Sequence[Sequence[Template]], shares: Sequence[float] | None) -> list[Template]:
    """All templates of some sources.

    Args:
        shares: how the sprites are shared out among the sources, whose templates share alike; None for all templates
            alike.
    """
    if shares is None:
        return [template for own in sources for template in own]
    return [replace(template, weight=share / len(own)) for own, share in zip(sources, shares) for template in own]


def split(templates: Sequence[Template], counts: Sequence[int]) -> list[list[Template]]:
    """Templates of all groups, group by group.

    Args:
        counts: how many each group has.
    """
    ends = np.cumsum(counts).tolist()
    return [list(templates[end - count : end]) for end, count in zip(ends, counts)]
