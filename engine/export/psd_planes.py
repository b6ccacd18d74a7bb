# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels as a PSD file holds them: each channel by itself, its rows compressed, made strip by strip."""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from psd_tools.compression import compress
from psd_tools.constants import Compression

from ..arrays import FloatArray, UInt8Array
from ..files.strips import Strips, strips_of

_MEMORY_BYTES = 16 * 2**20  # of a compressed plane, before it goes to a file
_THUMBNAIL_SIDE = 160


class PackedPlanes:
    """Planes as PackBits: the length of each row as 16 bits, and the rows. Closed as a context manager."""

    def __init__(self, count: int, scratch: Path) -> None:
        """`count` empty planes. `scratch`: folder for nameless files of those that are too large for memory."""
        self._lengths = [io.BytesIO() for _ in range(count)]
        self._files = contextlib.ExitStack()
        files = (tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(scratch)) for _ in range(count))  # noqa: SIM115
        self._rows = [self._files.enter_context(file) for file in files]

    def __enter__(self) -> PackedPlanes:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, planes: Sequence[UInt8Array]) -> None:
        """Compress the next rows of each plane, [h, w]."""
        for plane, lengths, rows in zip(planes, self._lengths, self._rows, strict=True):
            height, width = plane.shape
            data = memoryview(compress(plane.tobytes(), Compression.RLE, width, height, 8))
            lengths.write(data[: 2 * height])
            rows.write(data[2 * height :])

    def size(self, plane: int) -> int:
        """Bytes of a plane's lengths and rows."""
        return self._lengths[plane].tell() + self._rows[plane].tell()

    def write_lengths(self, plane: int, stream: IO[bytes]) -> None:
        """Write the lengths of a plane's rows."""
        stream.write(self._lengths[plane].getbuffer())

    def write_rows(self, plane: int, stream: IO[bytes]) -> None:
        """Write a plane's rows."""
        rows = self._rows[plane]
        rows.seek(0)
        shutil.copyfileobj(rows, stream, 2**20)


class MergedPicture:
    """The picture of all layers: on white, with its alpha beside it where it is not opaque. Closed like its planes.

    Attributes:
        channels: 3, or 4 with alpha.
        thumbnail: RGB, at most 160 pixels a side.
    """

    def __init__(self, merged: FloatArray | Strips[np.float32], scratch: Path) -> None:
        """Args as of `smalti.engine.export.psd_file.write_psd`."""
        height, width, _ = merged.shape
        reduced = _Reduced(width, height)
        self._planes = PackedPlanes(4, scratch)
        self.channels = 3
        for strip in strips_of(merged):
            planes = _on_white(strip)
            self._planes.add(planes)
            reduced.add(planes[:3])
            if planes[3].min() < 255:
                self.channels = 4
        self.thumbnail = reduced.thumbnail()

    def __enter__(self) -> MergedPicture:
        return self

    def __exit__(self, *_: object) -> None:
        self._planes.__exit__()

    @property
    def size(self) -> int:
        """Bytes that `write` writes."""
        return 2 + sum(self._planes.size(plane) for plane in range(self.channels))

    def write(self, stream: IO[bytes]) -> None:
        """Write the section of the merged picture: first the lengths of every row of every plane, then the rows."""
        stream.write(struct.pack(">H", Compression.RLE))
        for plane in range(self.channels):
            self._planes.write_lengths(plane, stream)
        for plane in range(self.channels):
            self._planes.write_rows(plane, stream)


def _on_white(merged: FloatArray) -> list[UInt8Array]:
    """Red, green and blue on white, and alpha, of premultiplied [h, w, 4]."""
    alpha = np.clip(merged[..., 3], 0, 1)
    planes = [np.rint(np.clip(merged[..., c] + (1 - alpha), 0, 1) * 255).astype(np.uint8) for c in range(3)]
    return [*planes, np.rint(alpha * 255).astype(np.uint8)]


class _Reduced:
    """A picture that is reduced strip by strip to a few times the size of the thumbnail."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._factor = max(1, max(width, height) // (8 * _THUMBNAIL_SIDE))
        self._strips: list[UInt8Array] = []

    def add(self, planes: Sequence[UInt8Array]) -> None:
        """Add the next rows of red, green and blue."""
        image = Image.fromarray(np.stack(planes, axis=-1))
        self._strips.append(np.asarray(image if self._factor == 1 else image.reduce(self._factor)))

    def thumbnail(self) -> Image.Image:
        image = Image.fromarray(np.concatenate(self._strips))
        width, height = self._size
        if self._factor == 1:
            image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
            return image
        scale = _THUMBNAIL_SIDE / max(width, height)
        # Strips that are no multiple of the factor have made it a little taller.
        return image.resize((max(1, round(width * scale)), max(1, round(height * scale))))
