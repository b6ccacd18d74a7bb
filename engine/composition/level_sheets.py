# SPDX-License-Identifier: GPL-3.0-or-later
"""The mip levels that sprites show of their templates, as pictures: for renderers that minify in another way.

All levels of a template lie side by side on one sheet, as `smalti.bridge.levels` says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import LEVEL_FOLDER, level_file
from smalti.bridge.levels import Sheet, place_of, size_of, write_sheets

from ..arrays import Float64Array, Int64Array, UInt16Array
from ..files.atomic import write_atomic
from ..raster.atlas import LOD_OFFSET, MARGIN, Atlas
from ..sprites import Sprites
from . import Composition

FAST = 1
"""How hard zlib tries: more takes several times as long, and saves little."""


def write_level_sheets(folder: Path, composition: Composition, frames: Callable[[int], Sprites] | None = None) -> None:
    """Write a sheet for each template that a sprite shows in any frame, and what is on them.

    Args:
        folder: the job folder, which has the templates.
        frames: function of a frame's index, from 0: the sprites, where the composition does not hold them itself.

    Raises:
        SmaltiError: code ``"cannot_write"``, or what `frames` raises.
    """
    of_frame = composition.sprites if frames is None else frames
    sprites = _extremes(map(of_frame, range(composition.frames)), composition.shapes)
    atlas = composition.atlas_showing(sprites)
    least, most = _levels_shown(sprites, composition.shapes, atlas)
    try:
        (folder / LEVEL_FOLDER).mkdir(exist_ok=True)
    except OSError as fault:
        raise SmaltiError(f"{folder}: cannot be written ({fault.strerror}).", code="cannot_write") from fault
    depth = 8 if composition.header.blend_space == "srgb" else 16
    sheets: list[Sheet | None] = [None] * atlas.count
    for template in np.unique(sprites.template).tolist():
        first = int(atlas.first_level[template]) + int(least[template])
        _, width, height = atlas.levels[first].tolist()
        source = (folder / composition.header.templates[template].file).stat().st_size
        sheet = Sheet(width, height, int(most[template] - least[template]) + 1, source)
        drawn = _drawn(atlas, first, sheet)
        write_atomic(folder / level_file(template), partial(_write_png, texels=drawn, depth=depth))
        sheets[template] = sheet
    write_sheets(folder, sheets)


def _extremes(frames: Iterable[Sprites], shapes: Float64Array) -> Sprites:
    """Each sprite as it is where it is the longest, the largest and the smallest, float64: three sets of N.

    They show all the levels that it shows in any of the frames.
    """
    chosen: list[Sprites] = []
    measured: list[Float64Array] = []
    for sprites in frames:
        half = sprites.half_sizes(shapes)
        now = [half.max(axis=1), half.prod(axis=1), -half.prod(axis=1)]
        if not chosen:
            chosen, measured = [sprites] * len(now), now
            continue
        for k, (most, here) in enumerate(zip(measured, now)):
            more = np.flatnonzero(here > most)
            if len(more):
                chosen[k], measured[k] = chosen[k].put(more, sprites.take(more)), np.maximum(most, here)
    return Sprites.joined(chosen).double()


def _levels_shown(sprites: Sprites, shapes: Float64Array, atlas: Atlas) -> tuple[Int64Array, Int64Array]:
    """[T] the finest and the coarsest level of each template that a sprite shows (docs/forward-model.md)."""
    finest = atlas.levels[atlas.first_level[sprites.template]].astype(np.float64)
    half = sprites.half_sizes(shapes)
    texels = finest[:, 1] * finest[:, 2] / (4 * half.prod(axis=1))
    last = np.diff(atlas.first_level)[sprites.template] - 1
    lod = np.clip(0.5 * np.log2(texels) + LOD_OFFSET, 0, last)
    least = np.full(atlas.count, np.iinfo(np.int64).max)
    most = np.zeros(atlas.count, np.int64)
    np.minimum.at(least, sprites.template, np.floor(lod).astype(np.int64))
    np.maximum.at(most, sprites.template, np.ceil(lod).astype(np.int64))
    return least, most


def _drawn(atlas: Atlas, first: int, sheet: Sheet) -> UInt16Array:
    """The texels of a sheet, [height, width, 4], from the level `first` of an atlas on."""
    columns, rows = sheet.pixels
    drawn = np.zeros((rows, columns, 4), np.uint16)
    for number in range(sheet.count):
        base, width, height = atlas.levels[first + number].tolist()
        assert (width, height) == size_of(sheet, number)
        stored = atlas.texels[base : base + (width + 2 * MARGIN) * (height + 2 * MARGIN)]
        level = stored.reshape(height + 2 * MARGIN, width + 2 * MARGIN, 4)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        left, top = place_of(sheet, number)
        drawn[top : top + height, left : left + width] = level
    return drawn


def _write_png(file: BinaryIO, texels: NDArray[Any], depth: int) -> None:
    """Write 16-bit numbers [height, width, 4] as RGBA of 8 or 16 bits, straight as they are."""
    height, width, _ = texels.shape
    numbers = np.rint(texels / 257).astype(np.uint8) if depth == 8 else texels.astype(">u2")
    rows = numbers.reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # each row less the one above
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), FAST)), (b"IEND", b"")):
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
