# SPDX-License-Identifier: GPL-3.0-or-later
"""A composition: sprites over a background, and its files in a job folder (see `smalti.bridge.composition`)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.composition import (
    COLUMNS,
    PER_FRAME,
    Header,
    check_arrays,
    read_header,
    write_header,
)
from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import ARRAYS, COMPOSITION
from smalti.bridge.job import BlendSpace

from ..arrays import Float32Array, Float64Array, Int32Array, IntegerArray, UInt8Array
from ..colour import into_space, parse_hex
from ..files.atomic import write_atomic
from ..files.images import read_image, write_png
from ..files.resampling import resized_rows
from ..files.strips import Strips
from ..raster import Atlas
from ..sprites import Sprites
from ..templates import Template, read_template, save_templates
from .atlases import AtlasCache


@dataclass(frozen=True, eq=False)
class Composition:
    """F frames of N sprites, index 0 at the bottom. Units are those of `smalti.bridge.composition`.

    Attributes:
        header: canvas, blend space, color mix and names.
        templates: T bitmaps.
        template: [N] int32, index into `templates`.
        x, y, scale, aspect, theta, opacity: [F, N] float32.
        tint: [F, N, 3] float32, in the blend space.
        background_image: [h, w, 4] uint8, straight alpha, sRGB-encoded, where the header names an image; it is
            stretched over the canvas.
        atlases: the atlas cache of another composition of the same templates, to share it; None for a new one.
    """

    header: Header
    templates: list[Template]
    template: Int32Array
    x: Float32Array
    y: Float32Array
    scale: Float32Array
    aspect: Float32Array
    theta: Float32Array
    opacity: Float32Array
    tint: Float32Array
    background_image: UInt8Array | None = None
    atlases: AtlasCache | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make an atlas cache, unless the one given is of these templates in this blend space."""
        shared, space = self.atlases, self.header.blend_space
        if shared is None or shared.templates is not self.templates or shared.space != space:
            object.__setattr__(self, "atlases", AtlasCache(self.templates, space))

    @property
    def frames(self) -> int:
        """Number of frames, F (1 for a still)."""
        return self.header.frames

    def sprites(self, frame: int) -> Sprites:
        """The sprites of one frame, float32. Raises IndexError where there is no such frame."""
        if not 0 <= frame < self.frames:
            raise IndexError(f"frame {frame} of {self.frames}")
        return Sprites(self.template, **{name: getattr(self, name)[frame] for name in PER_FRAME})

    @property
    def shapes(self) -> Float64Array:
        """[T, 2] width and height of each template, pixels."""
        return np.array([[template.width, template.height] for template in self.templates], np.float64)

    def background(self, width: int, height: int) -> Strips[np.float32] | None:
        """[height, width, 4] premultiplied, in the blend space; None where the background is transparent."""
        header = self.header
        return background_strips(header.background, self.background_image, width, height, header.blend_space)

    def atlas_showing(self, sprites: Sprites, others: IntegerArray | None = None) -> Atlas:
        """An atlas with all that sprites can show of their templates, see `AtlasCache.showing`."""
        assert self.atlases is not None
        return self.atlases.showing(sprites, others)

    def save(self, folder: Path | str) -> None:
        """Write the composition and its bitmaps into a folder, which is created: what `load_composition` reads.

        Raises:
            SmaltiError: code ``"cannot_write"``.
        """
        folder = Path(folder)
        paths = [folder / entry.file for entry in self.header.templates]
        try:
            for parent in {path.parent for path in paths}:
                parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise SmaltiError(f"{folder}: cannot be created ({fault.strerror}).", code="cannot_write") from fault
        save_templates(self.templates, paths)
        if self.background_image is not None:
            write_png(folder / self.header.background, self.background_image)
        save_composition(folder, self.header, self.sprites)


def background_pixels(
    background: str, image: UInt8Array | None, width: int, height: int, space: BlendSpace
) -> Float32Array | None:
    """`background_strips` in one piece."""
    strips = background_strips(background, image, width, height, space)
    return None if strips is None else strips.make(range(height))


def background_strips(
    background: str, image: UInt8Array | None, width: int, height: int, space: BlendSpace
) -> Strips[np.float32] | None:
    """[height, width, 4] premultiplied, in the blend space `space`; None for ``"transparent"``.

    Args:
        background: ``"transparent"``, ``"#rrggbb"`` or anything else for `image`.
        image: [h, w, 4], straight alpha, sRGB-encoded.

    Raises:
        ValueError: an image is needed, but not given.
    """
    if background == "transparent":
        return None
    if background.startswith("#"):
        flat = into_space(np.array([*parse_hex(background), 1.0], np.float32), space)
        return Strips(height, width, lambda rows: np.broadcast_to(flat, (len(rows), width, 4)).copy())
    if image is None:
        raise ValueError("a background image is named but not given")
    return Strips(height, width, lambda rows: into_space(resized_rows(image, width, height, rows), space))


def load_composition(folder: Path | str) -> Composition:
    """Read the finished composition of a job folder.

    Raises:
        SmaltiError: it is missing, damaged, of a newer version, or one of its bitmaps cannot be read.
    """
    folder = Path(folder)
    header = read_header(folder)
    path = folder / ARRAYS
    arrays = read_arrays(path)
    check_arrays(header, arrays, str(path))
    templates = []
    for entry in header.templates:
        template = read_template(folder / entry.file, entry.name)
        if (template.width, template.height) != (entry.width, entry.height):
            raise SmaltiError(
                f"{folder / entry.file}: is {template.width} x {template.height} pixels, but {COMPOSITION} says "
                f"{entry.width} x {entry.height}.",
                "Restore the bitmap of the job.",
                "bad_file",
            )
        templates.append(template)
    is_file = header.background != "transparent" and not header.background.startswith("#")
    image = read_image(folder / header.background) if is_file else None
    columns = {name: arrays[name].astype(np.float32) for name in PER_FRAME}
    return Composition(
        header, templates, arrays["template"].astype(np.int32), **columns, background_image=image, atlases=None
    )


def save_composition(folder: Path, header: Header, sprites: Callable[[int], Sprites]) -> None:
    """Write ``frames.npz`` and then ``composition.json``, each in one step, into a folder that has the templates.

    Args:
        sprites: function of a frame's index, from 0. Each frame is asked for several times and kept at none, so that
            a film need not fit into memory.

    Raises:
        SmaltiError: code ``"cannot_write"``, or what `sprites` raises.
    """
    write_atomic(folder / ARRAYS, partial(_write_film, frames=header.frames, sprites=sprites))
    write_header(folder, header)


def _write_film(file: BinaryIO, frames: int, sprites: Callable[[int], Sprites]) -> None:
    """Write what np.savez would, array by array and frame by frame."""
    first = sprites(0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in COLUMNS:
            rows = [first.template] if name == "template" else (getattr(sprites(f), name) for f in range(frames))
            shape = getattr(first, name).shape
            whole = {
                "descr": getattr(first, name).dtype.str,
                "fortran_order": False,
                "shape": shape if name == "template" else (frames, *shape),
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, whole)  # type: ignore[no-untyped-call]
                for row in rows:
                    member.write(np.ascontiguousarray(row).data)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by name. Nothing in the file is executed.

    Raises:
        SmaltiError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as fault:  # The readers of NumPy and zipfile raise nearly anything on a damaged file.
        reason = (isinstance(fault, OSError) and fault.strerror) or str(fault) or type(fault).__name__
        raise SmaltiError(f"{path}: cannot be read ({reason}).", "Restore it, or fit again.", "bad_file") from fault


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file in one step. Raises SmaltiError, code ``"cannot_write"``."""

    def save(file: BinaryIO) -> None:
        # Through memory: np.savez seeks, and a full disk then fails in one place, the write.
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        file.write(buffer.getbuffer())

    write_atomic(path, save)
