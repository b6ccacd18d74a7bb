# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops over the bytes of bitmaps, natively: other threads use the interpreter meanwhile."""

from __future__ import annotations

import numpy as np

from ..arrays import UInt8Array
from . import _native as _native


def bled(rgba: UInt8Array) -> UInt8Array:
    """The bitmap [H, W, 4], straight alpha, with visible colors extended into fully transparent texels.

    A hidden texel takes the mean color, weighted by alpha, of the blocks of 2 x 2 texels around its own, or where these
    are empty too, of larger blocks. A bitmap that is hidden everywhere stays as it is.
    """
    result = np.array(rgba, np.uint8, order="C")
    _native.bleed(result)
    return result


def png_rows(rgba: UInt8Array, above: UInt8Array) -> UInt8Array:
    """Rows of a picture as PNG stores them before compression.

    Each is filtered by the difference from the left pixel or from the upper one, whichever leaves the smaller numbers;
    where both are equal, from the upper one.

    Args:
        rgba: [h, W, 4].
        above: [1, W, 4], the row above the first one; zeros above the top of a picture.

    Returns:
        [h, 1 + 4 W]: the number of the filter, then the bytes of the row.
    """
    height, width, _ = rgba.shape
    result = np.empty((height, 1 + 4 * width), np.uint8)
    _native.filter_rows(rgba, above, result)
    return result
