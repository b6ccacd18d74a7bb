# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks for: the contents of ``job.json``.

The same type is filled by the Blender panel, by the command line and by the Python API. A setting left at None follows
from the canvas, the count and the bitmaps; the engine works it out and reports what it took.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from .errors import SmaltiError
from .loss import parse_loss
from .schema import read_json, write_json

FORMAT = "smalti-job"
VERSION = 1
FILE_NAME = "job.json"

MAX_COUNT = 1_000_000
MAX_SIZE = 16_384
MAX_COLOURS = 1024
MAX_REGIONS = 64
MAX_TEXT = 10_000

BlendSpace = Literal["srgb", "linear"]
Mask = Literal["auto", "alpha", "background", "luminance", "none"]
TextSplit = Literal["glyphs", "words"]
Preset = Literal["draft", "balanced", "best", "published"]
Device = Literal["auto", "cpu", "cuda", "reference"]

OPTIONAL_PATHS = ("target_mask", "keep_in", "keep_out", "font", "weight_map", "loss_weights_file")
"""Settings that are the path of a file, or None."""


@dataclass(frozen=True)
class RegionSpec:
    """A part of the canvas with sprites of its own.

    They start there, their centres stay there (where `JobSpec.keep_in`, `keep_out` and `inside_outline`, which come
    first, leave them room), and those that are moved elsewhere are moved within. At the start they lie above the job's
    other sprites, and those of a later region above those of an earlier one.

    Attributes:
        mask: path of a grey image, stretched over the canvas: the region is where it is half white or more.
        count: number of sprites, in addition to all others.
        min_size, max_size: bounds on a sprite's longer side in canvas pixels; None chooses from the region's extent.
        primitives: path of a folder of bitmaps and SVG drawings, or of one of them; None for the job's own bitmaps.
        confine: the sprites draw nowhere outside.
    """

    mask: str
    count: int
    min_size: float | None = None
    max_size: float | None = None
    primitives: str | None = None
    confine: bool = False

    def check(self, number: int) -> None:
        """Raise SmaltiError (code ``"bad_setting"``) that names the first setting out of its range, and the region."""
        require = partial(_require, self, of=f" of region {number}")
        require(bool(self.mask), "mask", "the path of an image")
        require(1 <= self.count <= MAX_COUNT, "count", f"from 1 to {MAX_COUNT:,}")
        _check_sizes(self, require)
        require(self.primitives is None or bool(self.primitives), "primitives", "the path of a folder of bitmaps")


@dataclass(frozen=True)
class JobSpec:
    """One job.

    Attributes:
        target: path of an image, or of a folder of frames (every picture in it, in natural order of the names).
        primitives: path of a folder of bitmaps and SVG drawings, or of one of them; None for `text` alone, or where all
            sprites are of regions with bitmaps of their own.
        count: number of sprites, 1 to 1,000,000. Where there are `regions`, those outside of them all; 0 rebuilds the
            regions alone.
        size: longer side of the canvas in pixels (16 to 16,384); None takes the target's own, at most 1024.
        preset: how to fit: ``"draft"`` for a first look, ``"balanced"``, ``"best"`` with more patience;
            ``"published"`` is the recipe of DiffBMP (arXiv 2602.22625), to measure against.
        steps: gradient steps for a still or for the first frame; None chooses from the preset and the count.
        frame_steps: gradient steps for each later frame; None chooses from `steps`.
        frame_rate: frames per second of the result, more than 0 and at most 1000.
        mask: how a bitmap without transparency gets its alpha (see `smalti.engine.templates.load_templates`).
        colour_mix: 0 paints every sprite in one free tint, 1 keeps the bitmap's own colours, between mixes them.
        lock_rotation: keep every bitmap upright (theta = 0).
        lock_scale: keep every sprite at the size that it starts with.
        min_size, max_size: bounds on a sprite's longer side in canvas pixels; None chooses from the canvas.
        alpha_max: upper bound of a sprite's opacity, more than 0 and at most 1.
        background: ``"auto"`` (transparent where the target has transparency, else the target's mean colour, moved to
            where bitmaps that keep their own colours come nearest to the target), ``"transparent"``, a colour
            ``"#rrggbb"`` (sRGB), or the path of an image that is stretched over the canvas.
        blend_space: where layers are composited: in ``"srgb"`` as image editors do, in ``"linear"`` as renderers do.
        target_mask: path of a grey image (white: rebuild, black: leave empty), stretched over the canvas; None for all.
        palette: colours ``"#rrggbb"`` (sRGB); every sprite's tint is one of them, exactly. A film's sprites
            keep the colours of its first frame. None leaves all tints free.
        rotation_steps: sprites turn by multiples of 360 degrees / this number only, from 1 (upright) to 3600; None
            turns them freely.
        keep_in: path of a grey image, stretched over the canvas: sprites draw only where it is white. None: anywhere.
        keep_out: path of a grey image, stretched over the canvas: sprites draw only where it is black. None: anywhere.
        inside_outline: sprites draw nowhere beyond the outline of the target: its own alpha, under `target_mask`.
        min_visibility: the least share of every sprite that is seen, from 0 to 0.9 times `alpha_max`: of what it would
            show alone at full opacity, what the sprites above it and the canvas's edge leave. Where there is no room
            for that, the report says how many are ``hidden``. A film's later frames are only fitted towards it.
        max_overlap: the mean number of layers over a point of the target, more than 0. The fit is pushed below it, and
            the report says what it came to (``layers``). Faint layers count as much as they are opaque.
        even_coverage: how much the fit cares for as many layers here as there, from 0 to 1.
        text: letters or words to build with, beside the bitmaps or instead of them, at most 10,000 characters.
        font: path of the font file for `text`; None takes a plain one that has the letters of English only.
        text_split: what becomes a bitmap: each different one of the text's ``"glyphs"``, or of its ``"words"``.
        loss: what the fit minimises: a sum of terms, such as ``"mse+0.3*ms_ssim"`` (see `smalti.bridge.loss`).
        loss_weights_file: path of the weights of VGG16 as torchvision saves them (a state dict); only and always for a
            loss with the term ``vgg``.
        weight_map: path of a grey image (white matters, black does not), stretched over the canvas; None for evenly.
        detail_weight: how much more the busy parts of the target count than the flat ones, from 0 (all alike) to 1.
        regions: parts of the canvas with sprites of their own, at most 64; masks may overlap. Not with the preset
            ``"published"``.
        seed: seed of every random choice, 0 to 2**63 - 1. One seed, one machine: the same result bit for bit.
        device: where to compute. ``"auto"`` takes the fastest back end present.
    """

    target: str
    primitives: str | None = None
    count: int = 1000
    size: int | None = None
    preset: Preset = "balanced"
    steps: int | None = None
    frame_steps: int | None = None
    frame_rate: float = 24.0
    mask: Mask = "auto"
    colour_mix: float = 0.0
    lock_rotation: bool = False
    lock_scale: bool = False
    min_size: float | None = None
    max_size: float | None = None
    alpha_max: float = 1.0
    background: str = "auto"
    blend_space: BlendSpace = "srgb"
    target_mask: str | None = None
    palette: tuple[str, ...] | None = None
    rotation_steps: int | None = None
    keep_in: str | None = None
    keep_out: str | None = None
    inside_outline: bool = False
    min_visibility: float = 0.0
    max_overlap: float | None = None
    even_coverage: float = 0.0
    text: str | None = None
    font: str | None = None
    text_split: TextSplit = "glyphs"
    loss: str = "mse"
    loss_weights_file: str | None = None
    weight_map: str | None = None
    detail_weight: float = 0.0
    regions: tuple[RegionSpec, ...] = ()
    seed: int = 0
    device: Device = "auto"

    def checked(self) -> JobSpec:
        """Return self, or raise SmaltiError (code ``"bad_setting"``) that names the first setting out of its range."""
        require = partial(_require, self)
        require(bool(self.target), "target", "the path of an image or of a folder of frames")
        require(
            bool(self.primitives) or (self.primitives is None and (self.text is not None or not self.needs_bitmaps)),
            "primitives",
            "the path of a folder of bitmaps where no text is given",
        )
        require(
            self.text is None or (bool(self.text.strip()) and len(self.text) <= MAX_TEXT),
            "text",
            f"at most {MAX_TEXT:,} characters, not all of them blank",
        )
        require(self.font is None or bool(self.font), "font", "the path of a font file")
        require(self.font is None or self.text is not None, "font", "left out where no text is given")
        least = 0 if self.regions else 1
        require(least <= self.count <= MAX_COUNT, "count", f"from {least} to {MAX_COUNT:,}")
        require(len(self.regions) <= MAX_REGIONS, "regions", f"at most {MAX_REGIONS} of them")
        require(not self.regions or self.preset != "published", "regions", "left out with the preset published")
        for number, region in enumerate(self.regions, 1):
            region.check(number)
        require(
            self.count + sum(region.count for region in self.regions) <= MAX_COUNT,
            "count",
            f"at most {MAX_COUNT:,} together with those of the regions",
        )
        require(self.size is None or 16 <= self.size <= MAX_SIZE, "size", f"from 16 to {MAX_SIZE:,} pixels")
        require(self.steps is None or 1 <= self.steps <= 1_000_000, "steps", "from 1 to 1,000,000")
        require(self.frame_steps is None or 1 <= self.frame_steps <= 1_000_000, "frame_steps", "from 1 to 1,000,000")
        require(0 < self.frame_rate <= 1000, "frame_rate", "more than 0 and at most 1000")
        require(0 <= self.colour_mix <= 1, "colour_mix", "from 0 (tint) to 1 (the bitmap's own colours)")
        require(0 < self.alpha_max <= 1, "alpha_max", "more than 0 and at most 1")
        _check_sizes(self, require)
        require(
            not self.background.startswith("#") or bool(re.fullmatch("#[0-9a-fA-F]{6}", self.background)),
            "background",
            "auto, transparent, a colour as #rrggbb, or the path of an image",
        )
        require(bool(self.background), "background", "auto, transparent, a colour as #rrggbb, or the path of an image")
        require(
            self.palette is None or all(re.fullmatch("#[0-9a-fA-F]{6}", colour) for colour in self.palette),
            "palette",
            "a list of colours as #rrggbb",
        )
        require(
            self.palette is None or 1 <= len(self.palette) <= MAX_COLOURS, "palette", f"of 1 to {MAX_COLOURS} colours"
        )
        require(
            self.palette is None or self.colour_mix < 1,
            "palette",
            "left out with colour_mix 1, where bitmaps keep their own colours",
        )
        require(self.rotation_steps is None or 1 <= self.rotation_steps <= 3600, "rotation_steps", "from 1 to 3600")
        require(
            not self.lock_rotation or self.rotation_steps in (None, 1),
            "rotation_steps",
            "left out with lock_rotation, which keeps every bitmap upright",
        )
        require(
            0 <= self.min_visibility <= 0.9 * self.alpha_max,
            "min_visibility",
            f"from 0 to 0.9 times alpha_max ({self.alpha_max:g})",
        )
        require(self.max_overlap is None or 0 < self.max_overlap < math.inf, "max_overlap", "more than 0 layers")
        require(0 <= self.even_coverage <= 1, "even_coverage", "from 0 to 1")
        try:
            has_vgg = "vgg" in dict(parse_loss(self.loss))
        except ValueError as fault:
            rule = "a sum of terms, such as mse+0.3*ms_ssim"
            raise SmaltiError(f"loss is {self.loss!r}, but must be {rule}: {fault}.", code="bad_setting") from fault
        require(
            not has_vgg or bool(self.loss_weights_file),
            "loss_weights_file",
            "the path of VGG16's weights for the term vgg",
        )
        require(has_vgg or self.loss_weights_file is None, "loss_weights_file", "left out where loss has no term vgg")
        require(0 <= self.detail_weight <= 1, "detail_weight", "from 0 (all parts count alike) to 1")
        require(0 <= self.seed < 2**63, "seed", "from 0 to 2**63 - 1")
        return self

    @property
    def background_is_file(self) -> bool:
        """Whether `background` is the path of an image."""
        return self.background not in ("auto", "transparent") and not self.background.startswith("#")

    @property
    def needs_bitmaps(self) -> bool:
        """Whether any sprites are made of the job's own bitmaps, and not only of those of regions."""
        return self.count > 0 or any(region.primitives is None for region in self.regions)

    @property
    def paths(self) -> dict[str, str]:
        """The path of every file and folder that the job reads, by what to call it."""
        named = {name: getattr(self, name) for name in ("target", "primitives", *OPTIONAL_PATHS)}
        if self.background_is_file:
            named["background"] = self.background
        for number, region in enumerate(self.regions, 1):
            named[f"mask of region {number}"] = region.mask
            named[f"primitives of region {number}"] = region.primitives
        return {name: path for name, path in named.items() if path is not None}


def _require(settings: object, good: bool, name: str, rule: str, of: str = "") -> None:
    """Raise SmaltiError (code ``"bad_setting"``) where the setting `name` is not `good`; `of` is put after its name."""
    if not good:
        shown = _shown(getattr(settings, name))
        shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
        raise SmaltiError(f"{name}{of} is {shown}, but must be {rule}.", code="bad_setting")


def _shown(value: object) -> str:
    """A setting's value in a message."""
    if value is None:
        return "missing"
    if value == ():
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(value) if all(isinstance(v, str) for v in value) else f"a list of {len(value)}"
    return repr(value)


def _check_sizes(settings: JobSpec | RegionSpec, require: Callable[[bool, str, str], None]) -> None:
    smallest, largest = settings.min_size, settings.max_size
    require(smallest is None or 1 <= smallest < math.inf, "min_size", "at least 1 pixel")
    require(largest is None or 1 <= largest < math.inf, "max_size", "at least 1 pixel")
    require(
        smallest is None or largest is None or smallest <= largest,
        "min_size",
        f"at most max_size ({largest})",
    )


def read_job(path: Path) -> JobSpec:
    """Read and check a ``job.json``.

    Raises:
        SmaltiError: the file is missing, damaged or of a newer version, has an unknown key, NaN, or a setting out of
            range.
    """
    return read_json(path, JobSpec, FORMAT, VERSION).checked()


def write_job(path: Path, job: JobSpec) -> None:
    """Write a ``job.json`` in one step. Raises SmaltiError, code ``"cannot_write"``."""
    write_json(path, job, FORMAT, VERSION)
