# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between a job's settings, each of which is good by itself."""

from __future__ import annotations

from typing import Any

from .choices import PRESETS, READING
from .errors import named
from .loss import needs_weights_file, parse_loss
from .region import MAX_COUNT
from .settings import BITMAPS, listed, require, settings_of


def check_together(job: Any) -> None:
    """Check the rules between the settings of a `bridge.job.JobSpec`, each of which is good by itself.

    Raises:
        SmaltiError: code ``"bad_setting"``, naming the first that breaks one.
    """
    has_text = job.text is not None or job.text_file is not None
    require(
        job,
        job.primitives is not None or has_text or not job.needs_bitmaps,
        "primitives",
        f"{BITMAPS} where no text is given",
    )
    sources = len(listed(job.primitives)) + has_text
    last = " and one for the text" if has_text else ""
    require(
        job,
        job.bitmap_weights is None or len(job.bitmap_weights) == sources,
        "bitmap_weights",
        f"{sources} number{'s' * (sources != 1)}, one for each of {named('primitives')}{last}",
    )
    require(job, job.font is None or has_text, "font", "left out where no text is given")
    require(job, job.text is None or job.text_file is None, "text_file", f"left out where {named('text')} is given")
    if job.text_order == READING:
        _check_reading(job, has_text)
    _check_mosaic(job, has_text)
    require(job, job.start is None or job.count > 0, "start", f"left out with {named('count')} 0")
    require(job, job.count >= 1 or bool(job.regions), "count", "at least 1 where there are no regions")
    together = job.count + sum(region.count for region in job.regions)
    require(job, together <= MAX_COUNT, "count", f"at most {MAX_COUNT:,} together with those of the regions")
    allowed = not job.regions or PRESETS[job.preset].regions
    require(job, allowed, "regions", f"left out with the preset {job.preset}")
    _check_sizes(job, job.print_width is not None)
    for number, region in enumerate(job.regions, 1):
        _check_sizes(region, job.print_width is not None, number)
    require(
        job,
        job.palette is None or job.colour_mix < 1,
        "palette",
        f"left out with {named('colour_mix')} 1, where bitmaps keep their own colors",
    )
    require(
        job,
        not job.lock_rotation or job.rotation_steps in (None, 1),
        "rotation_steps",
        f"left out with {named('lock_rotation')}, which keeps every bitmap upright",
    )
    both = job.frames is not None and job.target_frame is not None
    require(job, not both, "frames", f"left out where {named('target_frame')} says which one")
    require(job, job.alpha_min <= job.alpha_max, "alpha_min", f"at most {named('alpha_max')} ({job.alpha_max:g})")
    require(
        job,
        job.min_visibility <= 0.9 * job.alpha_max,
        "min_visibility",
        f"at most 0.9 times {named('alpha_max')} ({job.alpha_max:g})",
    )
    weights, needed = job.loss_weights_file, needs_weights_file(parse_loss(job.loss))
    rule = settings_of(type(job))["loss_weights_file"].rule
    require(job, weights is not None or not needed, "loss_weights_file", rule)
    require(job, weights is None or needed, "loss_weights_file", f"left out where no term of {named('loss')} needs it")


def _check_reading(job: Any, has_text: bool) -> None:
    """In reading order letters must stay where they are, one after another."""
    require(job, has_text, "text_order", "free where no text is given")
    elsewhere = ("primitives", "start", "min_size", "max_size", "keep_in", "keep_out", "inside_outline")
    for name in (*elsewhere, "min_visibility", "regions", "max_uses", "use_all", "min_distance"):
        rule = f"left out with {named('text_order')} {READING}, where the text says which sprites there are and where"
        require(job, not getattr(job, name), name, rule)


def _check_mosaic(job: Any, has_text: bool) -> None:
    """Tiles have one size, and lie where the grid has them; mirror images are of pictures."""
    require(job, not job.mirror or not has_text, "mirror", "left out where a text is given, which would be reversed")
    require(job, not job.use_all or job.max_uses is None, "use_all", f"left out where {named('max_uses')} is given")
    require(job, job.grid is not None or not job.grid_jitter, "grid_jitter", f"left out without {named('grid')}")
    require(
        job, job.scraps is None or not (has_text or job.grid), "scraps", f"left out with a text, or {named('grid')}"
    )
    if job.grid is None:
        return
    require(job, not has_text, "grid", "left out where a text is given")
    require(job, job.count > 0, "grid", f"left out with {named('count')} 0")
    for name in ("start", "regions", "min_size", "max_size", "rotation_steps", "keep_in", "keep_out", "inside_outline"):
        rule = f"left out with {named('grid')}, which says where sprites are, and their sizes"
        require(job, not getattr(job, name), name, rule)


def _check_sizes(settings: Any, printed: bool, region: int | None = None) -> None:
    smallest, largest = settings.min_size, settings.max_size
    for name in ("min_size", "max_size"):
        on_paper = isinstance(getattr(settings, name), str)
        require(settings, printed or not on_paper, name, f"in pixels where there is no {named('print_width')}", region)
    both = isinstance(smallest, float | int) and isinstance(largest, float | int)  # others are compared on the canvas
    good = not both or smallest <= largest
    other = named("max_size" if region is None else "regions.max_size")
    require(settings, good, "min_size", f"at most {other} ({largest})", region)
