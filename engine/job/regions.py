# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of a job's sprites: those of each region, and those of none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smalti.bridge.errors import SmaltiError, bad_setting, named
from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.lengths import millimeters

from ..arrays import BoolArray, Float32Array, Float64Array
from ..fitting.groups import Group
from ..fitting.placement import Placement
from ..fitting.strategy import Strategy
from ..templates import Template
from .masks import VISIBLE, Masks
from .placement import sizes_with

MAX_SPRITE = 16.0
"""Longer side of the largest sprite in longer sides of the canvas. A larger one is one color on the whole canvas, and
its parameters overflow."""


def check_regions(job: JobSpec, masks: Masks, alpha: Float32Array) -> None:
    """Check that part of the target is visible in each region and outside all of them, where sprites may draw.

    Args:
        alpha: [H, W], the target's alpha under its mask, 0 to 1.

    Raises:
        SmaltiError: code ``"region_mask_empty"``, ``"region_empty"`` or ``"regions_cover_all"``.
    """
    regions, drawable = masks.region_pixels, masks.drawable_pixels
    others = [f"{named(name)}: {path}" for name in ("keep_in", "keep_out") if (path := getattr(job, name)) is not None]
    for region, mask in zip(job.regions, regions):
        if (alpha * mask).max() < VISIBLE:
            raise SmaltiError(
                f"{region.mask}: nothing of the target lies in this region.",
                "White marks the region; choose one where the target is not transparent.",
                "region_mask_empty",
            )
        if (alpha * mask * drawable).max() < VISIBLE:
            raise SmaltiError(
                f"{region.mask}: nothing of this region lies where sprites may draw ({', '.join(others)}).",
                f"Change one of the {'two' if len(others) == 1 else 'three'} masks.",
                "region_empty",
            )
    rest = alpha * ~np.logical_or.reduce(regions) if regions else alpha
    if job.count and regions and (rest * drawable).max() < VISIBLE:
        both = f" and {' and '.join(others)}" if rest.max() >= VISIBLE else ""
        raise SmaltiError(
            f"{named('count')} is {job.count}, but the regions{both} leave nothing of the target to "
            "sprites of no region.",
            f"Set {named('count')} to 0, or {'change one of the masks' if both else 'make the masks smaller'}.",
            "regions_cover_all",
        )


def groups_of(
    job: JobSpec,
    strategy: Strategy,
    templates: Sequence[Sequence[Template]],
    masks: Masks,
    placement: Placement | None = None,
) -> tuple[Group, ...]:
    """The groups of a job's sprites, from the bottom of the stack: the job's own, if it has any, and each region's.

    Args:
        strategy: tells the usual sizes.
        templates: those of each group.
        placement: where the job's own sprites begin, if it says so.

    Raises:
        SmaltiError: a smallest size does not fit the canvas (code ``"bad_setting"``).
    """
    ends = np.cumsum([len(own) for own in templates]).tolist()
    ranges = [range(end - len(own), end) for end, own in zip(ends, templates)]
    weights = [_weights_of(own) for own in templates]
    regions, drawable = masks.region_pixels, masks.drawable_pixels
    result = []
    if job.count:
        rest = ~np.logical_or.reduce(regions) & drawable if regions else None
        sizes = _size_range(strategy, job, rest, masks.size, job.print_width)
        if placement is not None:
            sizes = sizes_with(placement, job, sizes)
        result.append(Group(job.count, ranges[0], sizes, rest, weights=weights[0]))
    for number, region in enumerate(job.regions):
        mask = regions[number] & drawable
        result.append(
            Group(
                region.count,
                ranges[len(result)],
                _size_range(strategy, region, mask, masks.size, job.print_width, number + 1),
                mask,
                masks.regions[number] if region.confine else None,
                weights[len(result)],
                f"the region of {region.mask}",
                named("regions.min_size"),
            )
        )
    return tuple(result)


def _weights_of(templates: Sequence[Template]) -> Float64Array | None:
    """`Group.weights` of its templates."""
    weights = np.array([template.weight for template in templates])
    return None if (weights == weights[0]).all() else weights / weights.sum()


def _pixels(size: float | str | None, canvas_width: int, print_width: str | None) -> float | None:
    """A size in canvas pixels, of which a print of this width has `canvas_width`."""
    if not isinstance(size, str):
        return size
    length, printed = millimeters(size), millimeters(print_width or "")
    assert length is not None
    assert printed is not None
    return length / printed * canvas_width


def _size_range(
    strategy: Strategy,
    settings: JobSpec | RegionSpec,
    mask: BoolArray | None,
    canvas: tuple[int, int],
    print_width: str | None,
    number: int | None = None,
) -> tuple[float, float]:
    """Smallest and largest longer side of a group's sprites, canvas pixels.

    Args:
        strategy: tells the usual sizes.
        settings: say how many there are, and may bound their sizes.
        mask: [H, W] where the sprites' centers are; None for anywhere.
        canvas: width and height in pixels.
        print_width: of the job.
        number: which region's settings they are, from 1; None for the job's own.
    """
    width, height = canvas
    area, longest = width * height, max(width, height)
    if mask is not None:
        area = int(mask.sum())
        longest = max(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) + 1 for axis in (0, 1))
    usual = strategy.size_range(canvas, (area, longest), settings.count)
    low, high = (_pixels(size, width, print_width) for size in (settings.min_size, settings.max_size))
    if low is not None and high is not None and low > high:
        raise bad_setting("min_size", settings.min_size, f"at most {named('max_size')} ({settings.max_size})", number)
    smallest, largest = low or usual[0], high or usual[1]
    limit = MAX_SPRITE * max(width, height)
    if smallest > limit:
        raise bad_setting("min_size", settings.min_size, f"at most {limit:g} on this canvas", number)
    largest = min(largest, limit)
    if settings.min_size is None:
        smallest = min(smallest, largest)
    if settings.max_size is None:
        largest = max(smallest, largest)
    return smallest, largest
