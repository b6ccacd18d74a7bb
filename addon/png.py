# SPDX-License-Identifier: GPL-3.0-or-later
"""Small versions of the pictures in job folders, read in any thread. Knows no Blender, only NumPy."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

ICON = 32
"""Pixels of both sides of an icon."""
_LARGEST = 64 * 2**20  # pixels; a larger picture has no small version
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def small_picture(path: Path, longest: int) -> tuple[Any, Any] | None:
    """A picture that the engine wrote, reduced, and an icon of it.

    Returns:
        [h, w, 4], neither side longer than `longest`, and [ICON, ICON, 4], both float32, 0 to 1, straight alpha, the
        lowest row first. None where the file cannot be read, or is of another program, whose PNG files may be coded in
        more ways.
    """
    try:
        pixels = _decoded(path.read_bytes())
    except (OSError, ValueError, struct.error, zlib.error):
        return None
    if pixels is None:
        return None
    small = _reduced(pixels.astype(np.float32) / 255, longest)[::-1]
    icon = _reduced(small, ICON)
    height, width, _ = icon.shape
    square = np.zeros((ICON, ICON, 4), np.float32)
    top, left = (ICON - height) // 2, (ICON - width) // 2
    square[top : top + height, left : left + width] = icon
    return small, square


def _decoded(data: bytes) -> Any | None:
    """[H, W, 4] uint8 of a PNG file with 8-bit RGBA whose rows are differences to the left or the upper pixel."""
    width, height, *form = struct.unpack(">IIBBBBB", data[16:29])
    if data[:8] != _SIGNATURE or form != [8, 6, 0, 0, 0] or width * height > _LARGEST:
        return None
    compressed, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            compressed.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(b"".join(compressed)), np.uint8).reshape(height, 1 + 4 * width)
    kinds, pixels = rows[:, 0], rows[:, 1:].reshape(height, width, 4).copy()
    if kinds.max() > 2:
        return None
    left = kinds == 1
    pixels[left] = np.cumsum(pixels[left], axis=1, dtype=np.uint8)
    for row in np.flatnonzero(kinds == 2):
        if row:
            pixels[row] += pixels[row - 1]
    return pixels


def _reduced(pixels: Any, longest: int) -> Any:
    """Means of squares of pixels, so that neither side is longer than `longest`; colors count as they are opaque."""
    height, width, _ = pixels.shape
    side = -(-max(height, width) // longest)
    if side == 1:
        return pixels
    down, across = min(side, height), min(side, width)
    height, width = height // down, width // across
    cells = np.array(pixels[: height * down, : width * across])
    cells[..., :3] *= cells[..., 3:]
    sums = cells.reshape(height, down, -1).sum(1).reshape(height, width, across, 4).sum(2)
    alpha = sums[..., 3:]
    return np.concatenate((sums[..., :3] / np.maximum(alpha, 1e-6), alpha / (down * across)), -1)
