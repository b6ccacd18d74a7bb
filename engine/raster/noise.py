# SPDX-License-Identifier: GPL-3.0-or-later
"""Random backgrounds for transparent targets, new in each step; the kernels compute the same (kernels/display.h)."""

from __future__ import annotations

import numpy as np

from ..arrays import Float32Array


def key_of(seed: int, step: int) -> int:
    """The key of a step's noise: 32 bits."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def noise_picture(key: int, size: tuple[int, int]) -> Float32Array:
    """Noise, [height, width, 4]: colors uniform in 0 to 1, alpha 1. The kernels compute the same numbers."""
    x = np.arange(4 * size[0] * size[1], dtype=np.uint32) ^ np.uint32(key)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    x ^= x >> np.uint32(16)
    picture = ((x >> np.uint32(8)).astype(np.float32) / np.float32(2**24)).reshape(*size, 4)
    picture[..., 3] = 1
    return picture
