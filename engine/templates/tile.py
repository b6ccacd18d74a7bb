# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitmaps cropped to tiles of one size."""

from __future__ import annotations

from ..arrays import UInt8Array
from ..files.images import straight_from_premultiplied
from ..files.resampling import resize


def cropped(rgba: UInt8Array, width: int, height: int) -> UInt8Array:
    """The largest part of these proportions from the middle of a bitmap [H, W, 4], at this size, in texels."""
    own_height, own_width = rgba.shape[:2]
    part_width = min(own_width, max(1, round(own_height * width / height)))
    part_height = min(own_height, max(1, round(own_width * height / width)))
    top, left = (own_height - part_height) // 2, (own_width - part_width) // 2
    return straight_from_premultiplied(resize(rgba[top : top + part_height, left : left + part_width], width, height))


def side_for(size: tuple[int, int], width: int, height: int) -> int:
    """Texels on the longer side from which a bitmap of a width and height has enough for such a tile."""
    return -(-max(size) * max(width, height) // min(size))
