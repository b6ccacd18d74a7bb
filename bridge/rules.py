# SPDX-License-Identifier: GPL-3.0-or-later
"""What settings must be where no range says it.

The functions of a single setting name the rule that its value breaks, and return an empty text where it is good.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import TYPE_CHECKING

from .choices import PRESETS
from .errors import named
from .loss import parse_loss
from .region import MAX_COUNT, RegionSpec
from .settings import BITMAPS, require

if TYPE_CHECKING:
    from .job import JobSpec

MAX_COLOURS = 1024
MAX_REGIONS = 64
MAX_TEXT = 10_000

LOSS = "a sum of terms, such as mse+0.3*ms_ssim"


def is_hex(colour: str) -> bool:
    """Whether a text is a color as #rrggbb."""
    return bool(re.fullmatch("#[0-9a-fA-F]{6}", colour))


def text_rule(text: str) -> str:
    """Of the letters that become bitmaps."""
    good = text.strip() and len(text) <= MAX_TEXT
    return "" if good else f"at most {MAX_TEXT:,} characters, not all of them blank"


def background_rule(background: str) -> str:
    """Of what lies behind the sprites."""
    good = is_hex(background) if background.startswith("#") else background
    return "" if good else "auto, transparent, a color as #rrggbb, or the path of an image"


def palette_rule(palette: tuple[str, ...]) -> str:
    """Of a list of colors."""
    if not all(map(is_hex, palette)):
        return "a list of colors as #rrggbb"
    return "" if 1 <= len(palette) <= MAX_COLOURS else f"of 1 to {MAX_COLOURS} colors"


def loss_rule(loss: str) -> str:
    """Of what is minimized."""
    try:
        parse_loss(loss)
    except ValueError as fault:
        return f"{LOSS}: {fault}"
    return ""


def regions_rule(regions: Sized) -> str:
    """Of how many regions there are."""
    return "" if len(regions) <= MAX_REGIONS else f"at most {MAX_REGIONS} of them"


def check_together(job: JobSpec) -> None:
    """The rules between settings, each of which is good by itself. Raises SmaltiError, code ``"bad_setting"``."""
    require(
        job,
        job.primitives is not None or job.text is not None or not job.needs_bitmaps,
        "primitives",
        f"{BITMAPS} where no text is given",
    )
    require(job, job.font is None or job.text is not None, "font", "left out where no text is given")
    require(job, job.count >= 1 or bool(job.regions), "count", "at least 1 where there are no regions")
    together = job.count + sum(region.count for region in job.regions)
    require(job, together <= MAX_COUNT, "count", f"at most {MAX_COUNT:,} together with those of the regions")
    allowed = not job.regions or PRESETS[job.preset].regions
    require(job, allowed, "regions", f"left out with the preset {job.preset}")
    _check_sizes(job)
    for number, region in enumerate(job.regions, 1):
        _check_sizes(region, number)
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
    require(
        job,
        job.min_visibility <= 0.9 * job.alpha_max,
        "min_visibility",
        f"at most 0.9 times {named('alpha_max')} ({job.alpha_max:g})",
    )
    has_vgg = "vgg" in dict(parse_loss(job.loss))
    weights = job.loss_weights_file
    require(
        job, not has_vgg or weights is not None, "loss_weights_file", "the path of VGG16's weights for the term vgg"
    )
    require(job, has_vgg or weights is None, "loss_weights_file", f"left out where {named('loss')} has no term vgg")


def _check_sizes(settings: JobSpec | RegionSpec, region: int | None = None) -> None:
    smallest, largest = settings.min_size, settings.max_size
    good = smallest is None or largest is None or smallest <= largest
    other = named("max_size" if region is None else "regions.max_size")
    require(settings, good, "min_size", f"at most {other} ({largest})", region)
