# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that move in a known way."""

from __future__ import annotations

import numpy as np

from smalti.engine.arrays import Float32Array
from smalti.engine.motion import moved

SIZE = 96, 128  # rows and columns


def painting(seed: int = 0) -> Float32Array:
    """[H, W, 4]: a smooth texture of many colors and sizes, opaque."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    picture = np.full((*SIZE, 3), 0.5)
    for _ in range(40):
        wave = rng.normal(0, 0.25, 2)
        phase = rng.uniform(0, 2 * np.pi)
        picture += 0.06 * np.sin(wave[0] * rows + wave[1] * columns + phase)[..., None] * rng.uniform(0.2, 1, 3)
    return np.asarray(np.concatenate([np.clip(picture, 0, 1), np.ones((*SIZE, 1))], axis=-1), np.float32)


def panned(picture: Float32Array, shift: tuple[float, float]) -> Float32Array:
    """The picture, moved by `shift` pixels to the right and down."""
    by = np.broadcast_to(np.negative(shift), (*picture.shape[:2], 2)).astype(np.float32)
    return np.clip(moved(picture, by), 0, 1)


def turned(picture: Float32Array, angle: float, zoom: float) -> Float32Array:
    """The picture, turned about its middle (radians, x towards y) and made larger."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    by = np.stack([cosine * x + sine * y - x, -sine * x + cosine * y - y], axis=-1)
    return np.clip(moved(picture, by.astype(np.float32)), 0, 1)
