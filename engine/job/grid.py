# SPDX-License-Identifier: GPL-3.0-or-later
"""A job whose sprites are the tiles of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from smalti.bridge.errors import bad_setting
from smalti.bridge.job import MAX_COUNT, JobSpec
from smalti.bridge.mosaic import grid_of

from ..arrays import Float32Array
from ..fitting.placement import Placement
from ..raster.atlas import area_resample


@dataclass(frozen=True)
class GridSettings:
    """How tiles lie, and of what bitmaps they are.

    Attributes:
        overlap: pixels by which neighbors overlap, so that no gap shows between their soft edges.
        covered: a cell has a tile if the mean alpha of the target there is above this.
        texels: of a tile's bitmap for each pixel of the canvas, so that larger pictures are sharp too.
        longest: side of a tile's bitmap, texels, at most.
        shift, turn, growth: of a tile at jitter 1: its largest shift as a fraction of its side, the standard deviation
            of its angle in radians, and by what fraction it is larger, so that gaps are few.
        steps: gradient steps of a first frame, where the job leaves them open: only tints change, and these begin near
            the best.
    """

    overlap: float = 1.0
    covered: float = 0.5
    texels: float = 4.0
    longest: int = 512
    shift: float = 0.3
    turn: float = 0.2
    growth: float = 0.3
    steps: int = 30


def tile_texels(
    job: JobSpec, canvas: tuple[int, int], settings: GridSettings = GridSettings()
) -> tuple[int, int] | None:
    """Width and height of a tile's bitmap, texels; None where the job has no grid.

    Args:
        canvas: width and height, pixels.
    """
    if job.grid is None:
        return None
    cell = _cell(job, canvas)
    factor = min(settings.texels, settings.longest / max(cell))
    width, height = (max(2, round(factor * side)) for side in cell)
    return width, height


def with_grid(job: JobSpec, settings: GridSettings = GridSettings()) -> JobSpec:
    """The job with what follows from its grid: tiles are opaque and stay where they are."""
    if job.grid is None:
        return job
    return replace(
        job,
        steps=job.steps or settings.steps,
        lock_scale=True,
        alpha_min=job.alpha_max,
        min_visibility=0.0,
        max_overlap=None,
        even_coverage=0.0,
        cover=0.0,
        preferred_visibility=0.0,
    )


def grid_placement(job: JobSpec, alpha: Float32Array, settings: GridSettings = GridSettings()) -> Placement:
    """The tiles, in any order.

    Args:
        alpha: [H, W] of the target under its mask, 0 to 1.

    Raises:
        SmaltiError: there are too many, or none.
    """
    height, width = alpha.shape
    cell = np.array(_cell(job, (width, height)))
    columns, rows = _grid(job)
    row, column = (each.ravel() for each in np.mgrid[0:rows, 0:columns])
    mean = _means(alpha, rows, columns).ravel()
    here = mean > min(settings.covered, 0.99 * float(mean.max()))
    rng = np.random.default_rng((job.seed, 5))
    stack = rng.permutation(np.flatnonzero(here)) if job.grid_jitter else np.flatnonzero(here)
    if len(stack) > MAX_COUNT:
        raise bad_setting("grid", job.grid, f"of at most {MAX_COUNT:,} tiles")
    shifts = settings.shift * job.grid_jitter * rng.uniform(-1, 1, (len(stack), 2)) * cell
    x, y = ((np.stack([column, row], axis=1)[stack] + 0.5) * cell + shifts).T
    size = np.tile((1 + settings.growth * job.grid_jitter) * cell + settings.overlap, (len(stack), 1))
    theta = settings.turn * job.grid_jitter * np.clip(rng.normal(size=len(stack)), -2, 2)
    texels = np.array(tile_texels(job, (width, height), settings))
    half = 0.5 * (size * (texels + 2) / texels).max(axis=1)  # with the margin of a template
    return Placement(np.full(len(stack), -1, np.int32), x, y, half, theta, size=size)


def _grid(job: JobSpec) -> tuple[int, int]:
    assert job.grid is not None
    found = grid_of(job.grid)
    assert found is not None
    return found


def _cell(job: JobSpec, canvas: tuple[int, int]) -> tuple[float, float]:
    """Width and height of a cell, canvas pixels."""
    columns, rows = _grid(job)
    return canvas[0] / columns, canvas[1] / rows


def _means(plane: Float32Array, rows: int, columns: int) -> Float32Array:
    """[rows, columns]: the means of a plane [H, W] over the cells."""
    return area_resample(area_resample(plane, rows, 0), columns, 1).astype(np.float32)
