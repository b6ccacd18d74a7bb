# SPDX-License-Identifier: GPL-3.0-or-later
"""The transparent margin of templates."""

from __future__ import annotations

import numpy as np

from ..arrays import UInt8Array


def with_margin(rgba: UInt8Array) -> UInt8Array:
    """The bitmap [H, W, 4] with a transparent margin of one texel on every side."""
    height, width, _ = rgba.shape
    result = np.zeros((height + 2, width + 2, 4), np.uint8)  # faster than np.pad
    result[1:-1, 1:-1] = rgba
    return result
