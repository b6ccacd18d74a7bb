# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer of PNG files that takes a picture strip by strip: 8-bit RGBA, straight alpha, sRGB-encoded.

Each row is filtered by the difference from the left pixel or from the upper one, whichever leaves the smaller numbers.
Then runs and the frequencies of bytes are all that is coded: searching for repeated strings takes most of the time of
other writers, and makes pictures of sprites hardly smaller.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

from ..arrays import UInt8Array
from ..bitmaps import png_rows

_STRIP = 2**20
"""Pixels that are filtered at a time, to bound memory."""


class PngWriter:
    """Writes one picture, top to bottom. The file is complete when all of its rows are written."""

    def __init__(self, file: BinaryIO, width: int, height: int) -> None:
        """Write the header of a picture of `width` x `height` pixels into a file that is open for writing."""
        self._file, self._rows_left = file, height
        self._above: UInt8Array = np.zeros((1, width, 4), np.uint8)
        self._deflate = zlib.compressobj(strategy=zlib.Z_RLE, memLevel=9)
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))

    def write(self, rgba: UInt8Array) -> None:
        """Write the next rows, [h, W, 4].

        Raises:
            ValueError: rows of another width, or more rows than the picture has.
        """
        height, width, channels = rgba.shape
        if (width, channels) != self._above.shape[1:] or height > self._rows_left:
            raise ValueError(f"[{height}, {width}, {channels}] are no rows of this picture")
        step = max(1, _STRIP // width)
        for first in range(0, height, step):
            strip = rgba[first : first + step]
            self._data(self._deflate.compress(png_rows(strip, self._above).data))
            self._above = strip[-1:]
        self._above = self._above.copy()
        self._rows_left -= height
        if self._rows_left == 0:
            self._data(self._deflate.flush())
            self._chunk(b"IEND", b"")

    def _data(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        checksum = zlib.crc32(data, zlib.crc32(kind))
        self._file.write(struct.pack(">I", len(data)) + kind)
        self._file.write(data)
        self._file.write(struct.pack(">I", checksum))
