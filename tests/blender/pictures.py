# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def premultiplied(path: Path) -> NDArray[np.float64]:
    """A picture as RGBA, premultiplied, 0 to 1: what is invisible does not count."""
    rgba = np.asarray(Image.open(path).convert("RGBA"), float) / 255
    rgba[..., :3] *= rgba[..., 3:]
    return rgba


def psnr(one: Path, other: Path) -> float:
    """Likeness of two pictures in dB; infinite where they are equal."""
    a, b = premultiplied(one), premultiplied(other)
    assert a.shape == b.shape, (a.shape, b.shape)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))
