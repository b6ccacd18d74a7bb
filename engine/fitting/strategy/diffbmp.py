# SPDX-License-Identifier: GPL-3.0-or-later
"""The published recipe of DiffBMP (arXiv 2602.22625), on our renderer: what ours is measured against.

Hyperparameters are the paper's. What cannot be the same: its Gaussian blur of a template, of one texel, is here a
constant bias of one mip level, the nearest that this renderer has; its templates are point-sampled, ours are not.
Where the paper leaves open when sprites are pruned, it is done once, after half of the steps. The paper does not fade
out what does harm where a picture would be worse than the bare ground (`sprites_to_show`); here that holds for every
preset, and the benchmark of quality takes it away from this one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..initialise import Placer, Sprites, box_mean
from ..optimiser import Motion, Optimiser

STEPS = 100
BLUR = 1.0
FAINT = 0.3
"""Opacity below which a sprite is moved back to where it started."""


def motion(count: int) -> Motion:
    """Adam at 0.1, with gains of 10 for positions and sizes (a pixel a step) and 1.5 x 1000 / N for opacities."""
    rates = {"x": 1.0, "y": 1.0, "log_scale": 1.0, "theta": 0.1, "opacity": 0.15 * 1000 / count, "tint": 0.1}
    return Motion(rates, betas=(0.9, 0.999), decay=0.99, blur_until=None, in_pixels=True)


def size_range(width: int, height: int) -> tuple[float, float]:
    """Smallest and largest longer side, canvas pixels: half-sizes from 2 to a quarter of the shorter side."""
    return 4.0, max(4.0, 0.5 * min(width, height))


def start(placer: Placer, count: int, rng: np.random.Generator) -> Sprites:
    """Positions by local variance, sizes the smaller the more there is, templates in turn, colours nearly grey.

    See `smalti.engine.fitting.initialise.start` for what is returned. The stack is in the order of the draw.
    """
    target = placer.target
    height, width = target.shape[:2]
    colours = target[..., :3]
    variance = np.maximum(box_mean(colours**2, 3) - box_mean(colours, 3) ** 2, 0).sum(axis=2)
    busy = variance / max(float(variance.max()), 1e-12)
    chance = ((0.1 + 0.9 * busy) * (target[..., 3] > 0)).ravel()
    # As many different pixels as there are; then again.
    pixels = int(np.count_nonzero(chance))
    drawn = [
        rng.choice(chance.size, min(pixels, count - done), replace=False, p=chance / chance.sum())
        for done in range(0, count, max(pixels, 1))
    ]
    row, column = np.divmod(np.concatenate(drawn), width)
    low, high = (0.5 * side for side in size_range(width, height))
    scale = (high - busy[row, column] * (high - low)) * (1 + rng.normal(0, 0.1, count))
    seen = colours[row, column] + rng.normal(0, 0.02, (count, 3))
    return {
        "template": (np.arange(count) % len(placer.shapes)).astype(np.int32),
        "x": column + 0.5,
        "y": row + 0.5,
        "scale": np.clip(scale, low, high),
        "aspect": np.zeros(count),
        "theta": np.zeros(count) if placer.upright else rng.uniform(-np.pi, np.pi, count),
        "opacity": np.full(count, 1 / (1 + np.exp(2.0))),
        # The pixel's colour is stored as a logit without the inverse of the sigmoid, so every fit starts grey.
        "tint": 1 / (1 + np.exp(-seen)),
    }


def is_due(done: int, steps: int) -> bool:
    """Whether sprites are pruned after `done` of `steps` steps."""
    return done == steps // 2


def prune(optimiser: Optimiser, first: Sprites) -> int:
    """Move faint sprites back to where they started, in their places in the stack. Returns how many."""
    faint: NDArray[np.int64] = np.flatnonzero(optimiser.sprites()["opacity"] < FAINT)
    optimiser.put_back(faint, {name: values[faint] for name, values in first.items()})
    return len(faint)
