# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitmaps of known coverage and color, and what templates are made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from smalti.bridge.job import Mask
from smalti.engine.templates import Template, load_templates

WHITE = (255, 255, 255)


def disc(size: int, radius: float) -> NDArray[np.float64]:
    """Coverage [size, size], 0 to 1, of a disc in the middle, each pixel sampled 16 x 16 times."""
    at = (np.arange(size * 16) + 0.5) / 16 - size / 2
    inside = (at[:, None] ** 2 + at[None, :] ** 2 <= radius**2).astype(np.float64)
    coverage: NDArray[np.float64] = inside.reshape(size, 16, size, 16).mean(axis=(1, 3))
    return coverage


def over(coverage: NDArray[np.float64], colour: ArrayLike, background: ArrayLike) -> NDArray[np.uint8]:
    a = coverage[..., None]
    pixels: NDArray[np.uint8] = np.rint(a * np.asarray(colour) + (1 - a) * np.asarray(background)).astype(np.uint8)
    return pixels


def petals(size: int) -> NDArray[np.float64]:
    """[size, size, 3] colors, 0 to 255, that vary smoothly and lie on no line."""
    y, x = np.mgrid[:size, :size] / size
    return np.stack([120 + 100 * np.sin(3 * x), 60 + 50 * np.cos(4 * y), 40 + 90 * x * y], axis=-1)


def save(path: Path, pixels: NDArray[np.uint8], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def one(path: Path, mask: Mask = "auto") -> Template:
    (template,) = load_templates(path, mask=mask)
    return template


def solid(height: int, width: int, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full((height, width, len(colour)), colour, np.uint8)


def without_margin(template: Template) -> NDArray[np.uint8]:
    return template.rgba[1:-1, 1:-1]


def trimmed(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
