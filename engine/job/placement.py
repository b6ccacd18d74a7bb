# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a job's own sprites begin, where it says so: along the lines of a text, or as a file has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smalti.bridge.choices import READING
from smalti.bridge.errors import SmaltiError, bad_setting
from smalti.bridge.job import MAX_COUNT, JobSpec
from smalti.bridge.schema import from_mapping, parse_json

from ..arrays import Float32Array, Float64Array
from ..errors import unreadable
from ..fitting.constraints.reading_order import ReadingSettings
from ..fitting.placement import Placement
from ..templates import Template
from ..templates.lines import text_in_lines
from .grid import grid_placement


@dataclass(frozen=True)
class LineSettings:
    """How far letters may leave their anchors.

    Attributes:
        aside: of the distance to the nearer neighbor, at most; below one half, so that none passes another.
        reach: of the em, at most.
    """

    aside: float = 0.3
    reach: float = 0.1


@dataclass(frozen=True)
class StartSprite:
    """A sprite of a start file.

    Attributes:
        x, y: its center in pixels, x right, y down.
        size: its longer side in pixels.
        angle: degrees clockwise.
        template: the name of a bitmap, or its number from 1; None has one chosen.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    template: str | int | None = None


@dataclass(frozen=True)
class StartFile:
    """A start file.

    Attributes:
        sprites: the lowest first.
        width: of the canvas in whose pixels they are; None for that of the job.
    """

    sprites: tuple[StartSprite, ...]
    width: float | None = None


def placement_of(job: JobSpec, templates: Sequence[Template], alpha: Float32Array) -> Placement | None:
    """Where the job's own sprites begin; None where that is left to the strategy.

    Args:
        job: with its text (see `smalti.engine.job.text_file.with_text`).
        templates: the job's own.
        alpha: [H, W] of the target under its mask, 0 to 1.

    Raises:
        SmaltiError: the text does not fit the canvas, or the file cannot be used (code ``"bad_start"``).
    """
    if job.grid is not None:
        return grid_placement(job, alpha)
    if job.text_order == READING:
        return _along_lines(job, templates, alpha)
    if job.start is not None:
        return _of_file(Path(job.start), templates, (alpha.shape[1], alpha.shape[0]))
    return None


def sizes_with(placement: Placement, job: JobSpec, usual: tuple[float, float]) -> tuple[float, float]:
    """Smallest and largest longer side of sprites with a placement, canvas pixels.

    Args:
        usual: without it; bounds that the job itself gives stay.
    """
    low, high = 2 * float(placement.scale.min()), 2 * float(placement.scale.max())
    if placement.reach is not None:
        growth = ReadingSettings().growth
        return low / growth, high * growth
    if placement.size is not None:  # as large as they are, but for rounding
        return 0.99 * low, 1.01 * high
    return (
        usual[0] if job.min_size is not None else min(low, usual[0]),
        usual[1] if job.max_size is not None else max(high, usual[1]),
    )


def _along_lines(
    job: JobSpec, templates: Sequence[Template], alpha: Float32Array, settings: LineSettings = LineSettings()
) -> Placement:
    assert job.text is not None
    lines = text_in_lines(job.text, job.font, job.text_split, alpha)
    number = len(lines.template)
    if number > MAX_COUNT:
        raise bad_setting("text", f"{number:,} pieces long", f"at most {MAX_COUNT:,} of them")
    reach = settings.reach * lines.em
    # A template has a margin of one texel about its ink.
    longer = np.array([max(t.width, t.height) for t in templates], np.float64)[lines.template]
    scale = 0.5 * lines.longer * longer / (longer - 2)
    aside = np.minimum(settings.aside * lines.beside, reach)
    return Placement(
        lines.template,
        lines.x,
        lines.y,
        scale,
        np.zeros(number),
        np.stack([aside, np.full(number, reach)], axis=1),
    )


def _of_file(path: Path, templates: Sequence[Template], size: tuple[int, int]) -> Placement:
    """The placement in a start file, for a canvas of this width and height."""
    found = _read(path)
    width, height = size
    factor = 1.0 if found.width is None else width / found.width
    names = {template.name: number for number, template in enumerate(templates)}
    for number, sprite in enumerate(found.sprites, 1):
        if fault := _fault(sprite, names, (width / factor, height / factor)):
            raise SmaltiError(f"{path}: sprite {number}: {fault}.", "Put it right.", "bad_start")

    def column(name: str) -> Float64Array:
        return np.array([getattr(sprite, name) for sprite in found.sprites], np.float64)

    return Placement(
        np.array([_index(sprite.template, names) for sprite in found.sprites], np.int32),
        factor * column("x"),
        factor * column("y"),
        0.5 * factor * column("size"),
        np.radians(column("angle")),
    )


def _read(path: Path) -> StartFile:
    try:
        data = parse_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path.", "bad_start") from fault
    except OSError as fault:
        raise unreadable(path, fault, "bad_start") from fault
    except ValueError as fault:
        raise SmaltiError(f"{path}: is not valid JSON ({fault}).", "Put it right.", "bad_start") from fault
    found = from_mapping(StartFile, {"sprites": data} if isinstance(data, list) else data, str(path))
    if not 1 <= len(found.sprites) <= MAX_COUNT:
        raise SmaltiError(
            f"{path}: holds {len(found.sprites):,} sprites.", f"Give from 1 to {MAX_COUNT:,}.", "bad_start"
        )
    if found.width is not None and not found.width > 0:
        raise SmaltiError(f"{path}: 'width' must be above 0, not {found.width:g}.", code="bad_start")
    return found


def _fault(sprite: StartSprite, names: dict[str, int], canvas: tuple[float, float]) -> str:
    """What is wrong with a sprite; empty where it is good."""
    if not sprite.size > 0:
        return f"'size' must be above 0, not {sprite.size:g}"
    for key, length in zip(("x", "y"), canvas):
        if not 0 <= (value := getattr(sprite, key)) <= length:
            return f"{key!r} must be on the canvas, from 0 to {length:g}, not {value:g}"
    if isinstance(sprite.template, str) and sprite.template not in names:
        return f"there is no bitmap {sprite.template!r}, but {', '.join(map(repr, [*names][:8]))}"
    if isinstance(sprite.template, int) and not 1 <= sprite.template <= len(names):
        return f"there is no bitmap {sprite.template}, but 1 to {len(names)}"
    if not math.isfinite(sprite.angle):
        return "'angle' must be a number"
    return ""


def _index(template: str | int | None, names: dict[str, int]) -> int:
    if template is None:
        return -1
    return names[template] if isinstance(template, str) else template - 1
