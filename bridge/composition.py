# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a job: the contents of ``composition.json`` and the shape of ``frames.npz``.

Standard library only, so that Blender reads a result with its own NumPy and without the engine. The arrays are checked
through their ``shape`` and ``dtype`` alone, so that NumPy is the caller's.

``frames.npz`` holds, for F frames and N sprites (index 0 at the bottom of the stack):

========  =================  ===================================================================================
name      shape              meaning, unit
========  =================  ===================================================================================
template  [N] int32          index into `Composition.templates`
x, y      [F, N] float32     center in canvas pixels, x right, y down, the top left corner of the canvas at (0, 0)
scale     [F, N] float32     half the length of the template's longer side, canvas pixels, > 0
aspect    [F, N] float32     natural log of extra width over height: width * exp(aspect / 2), height * exp(-aspect / 2)
theta     [F, N] float32     rotation, radians, positive turns +x towards +y (clockwise), unwrapped over frames
opacity   [F, N] float32     0 to 1
tint      [F, N, 3] float32  RGB, 0 to 1, in the composition's blend space
========  =================  ===================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import folder as files
from .choices import BlendSpace
from .errors import SmaltiError
from .job import MAX_SIZE
from .schema import read_json, write_json

FORMAT = "smalti-composition"
VERSION = 1

PER_FRAME = ("x", "y", "scale", "aspect", "theta", "opacity", "tint")
"""The arrays with a row for each frame."""
COLUMNS = ("template", *PER_FRAME)
"""All arrays: what is known of each sprite."""


@dataclass(frozen=True)
class TemplateFile:
    """One bitmap.

    Attributes:
        name: what the artist calls it.
        file: relative to the job folder (PNG, straight alpha, sRGB).
        width, height: pixels.
        luma: the mean luma of its colors in the blend space, weighted by alpha; given where `Header.shade` is not 0.
        region: the name of the region whose sprites alone show it; empty where there is none.
        letter: the character that it shows, as a user sees characters: it may be several code points. Empty where it
            shows none.
    """

    name: str
    file: str
    width: int
    height: int
    luma: float | None = None
    region: str = ""
    letter: str = ""


@dataclass(frozen=True)
class Header:
    """What ``composition.json`` says.

    Attributes:
        width, height: canvas in pixels.
        sprites, frames: N and F of the arrays.
        blend_space: the space in which layers are composited.
        colour_mix: 0 tint .. 1 the bitmap's own colors.
        background: ``"transparent"``, ``"#rrggbb"`` (sRGB), or the name of an image file in the job folder.
        frame_rate: frames per second (meaningful where frames > 1).
        templates: the bitmaps, in the order of the array ``template``.
        engine_version: version of Smalti that wrote the file.
        shade: 0 flat tints .. 1 tints with all of the bitmap's light and shade (see docs/forward-model.md).
        id: which job it is of (see `bridge.job_file.new_id`); empty in older files.
    """

    width: int
    height: int
    sprites: int
    frames: int
    blend_space: BlendSpace
    colour_mix: float
    background: str
    frame_rate: float
    templates: tuple[TemplateFile, ...]
    engine_version: str
    shade: float = 0.0
    id: str = ""


def read_header(folder: Path) -> Header:
    """Read ``composition.json`` of a job folder.

    Raises:
        SmaltiError: there is none, it is damaged, a value is out of range, or it is of a newer version.
    """
    path = folder / files.COMPOSITION
    if not path.is_file():
        raise SmaltiError(
            f"{folder}: holds no finished composition.", "Choose the output folder of a finished job.", "no_composition"
        )
    header = read_json(path, Header, FORMAT, VERSION)
    if min(header.width, header.height, header.sprites, header.frames) < 1 or not header.templates:
        raise SmaltiError(f"{path}: width, height, sprites, frames and templates must not be empty.", code="bad_file")
    ranges = {
        "width": header.width <= MAX_SIZE,
        "height": header.height <= MAX_SIZE,
        "colour_mix": 0 <= header.colour_mix <= 1,
        "shade": 0 <= header.shade <= 1,
        "templates": not header.shade or all(template.luma is not None for template in header.templates),
        "background": not header.background.startswith("#") or bool(re.fullmatch("#[0-9a-fA-F]{6}", header.background)),
        "frame_rate": header.frame_rate > 0,
    }
    for name, good in ranges.items():
        if not good:
            raise SmaltiError(f"{path}: {name!r} is out of range ({getattr(header, name)!r}).", code="bad_file")
    for file in (header.background, *(template.file for template in header.templates)):
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise SmaltiError(f"{path}: the bitmap {file!r} lies outside the job folder.", code="bad_file")
    return header


def write_header(folder: Path, header: Header) -> None:
    """Write ``composition.json`` in one step. Raises SmaltiError, code ``"cannot_write"``."""
    write_json(folder / files.COMPOSITION, header, FORMAT, VERSION)


def check_arrays(header: Header, arrays: Mapping[str, Any], where: str) -> None:
    """Check names, shapes and values of the arrays of ``frames.npz`` (NumPy arrays) against the header.

    Raises:
        SmaltiError: an array is missing, has another shape or type, is not finite, is out of range, or points to no
            template.
    """
    check_sprites(arrays, header.frames, header.sprites, where)
    template = arrays["template"]
    if template.min() < 0 or template.max() >= len(header.templates):
        raise SmaltiError(f"{where}: 'template' points to a bitmap that does not exist.", code="bad_file")


def check_sprites(arrays: Mapping[str, Any], frames: int, sprites: int, where: str) -> None:
    """As `check_arrays`, of `frames` frames of `sprites` sprites, but whatever templates there are."""
    shapes = {"template": (sprites,), **dict.fromkeys(PER_FRAME, (frames, sprites)), "tint": (frames, sprites, 3)}
    for name, shape in shapes.items():
        if name not in arrays:
            raise SmaltiError(f"{where}: the array {name!r} is missing.", code="bad_file")
        array = arrays[name]
        if tuple(array.shape) != shape:
            raise SmaltiError(f"{where}: {name!r} has shape {tuple(array.shape)}, not {shape}.", code="bad_file")
        if array.dtype.kind != ("i" if name == "template" else "f"):
            raise SmaltiError(f"{where}: {name!r} has type {array.dtype}.", code="bad_file")
        # The largest absolute value instead of isfinite: this module brings no NumPy, the arrays their methods.
        if name != "template" and not (abs(array).max() <= 3e38):
            raise SmaltiError(f"{where}: {name!r} holds a value that is not a finite number.", code="bad_file")
    for name, highest in (("scale", math.inf), ("opacity", 1.0), ("tint", 1.0)):
        least, most = float(arrays[name].min()), float(arrays[name].max())
        if least < 0 or most > highest or (name == "scale" and least == 0):
            raise SmaltiError(f"{where}: {name!r} is out of range ({least:g} to {most:g}).", code="bad_file")
