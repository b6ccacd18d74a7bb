# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour behind the sprites, where the job leaves it open.

Sprites in free tints can show any colour, so the target's mean is as good a ground as any. Bitmaps that keep their own
colours cannot: black ink darkens a ground and never lightens it. What they and the ground can mix are the colours of
the convex hull of both, so the ground is moved from the mean to where the target lies nearer to that hull.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALM = 0.005
"""What a squared distance from the mean costs, against the mean squared distance of the target from the hull."""
PIXELS = 600
TEXELS = 300
"""Samples of the target, and of each bitmap."""
DIRECTIONS = 60
"""In which the outermost colours are looked for."""
ROUNDS = 40
STEPS = (0.2, 0.1, 0.05, 0.02)
"""Lengths of the search's steps."""


def ground_colour(target: Floats, bitmaps: Sequence[NDArray[np.floating]], mix: float) -> Floats:
    """A colour for the ground, [3] straight, in the blend space.

    Args:
        target: [H, W, 4] premultiplied, in the blend space, opaque.
        bitmaps: each [h, w, 4] premultiplied, in the blend space.
        mix: colour mix.
    """
    pixels: Floats = target[..., :3].reshape(-1, 3)
    mean: Floats = pixels.mean(axis=0)
    if mix == 0:
        return mean
    rng = np.random.default_rng(0)
    pixels = pixels[rng.permutation(len(pixels))[:PIXELS]]
    reached = _outermost(bitmaps, mix, rng)

    def cost(ground: Floats) -> float:
        return _distance(pixels, np.vstack([reached, ground])) + CALM * float(np.square(ground - mean).sum())

    best: Floats = mean
    least = cost(mean)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for move in np.vstack([np.eye(3), -np.eye(3), np.ones(3), -np.ones(3)]) * step:
                tried = np.clip(best + move, 0, 1)
                if (found := cost(tried)) < least - 1e-7:
                    best, least, moved = tried, found, True
    return best


def _outermost(bitmaps: Sequence[NDArray[np.floating]], mix: float, rng: np.random.Generator) -> Floats:
    """[V, 3]: colours of the bitmaps, mixed with any tint, that no others surround."""
    samples = []
    for bitmap in bitmaps:
        texels = bitmap.reshape(-1, 4).astype(np.float64)
        texels = texels[texels[:, 3] > 0.5 * texels[:, 3].max()]
        texels = texels[rng.permutation(len(texels))[:TEXELS]]
        samples.append(texels[:, :3] / texels[:, 3:])
    own = np.vstack(samples)
    directions = rng.normal(size=(DIRECTIONS, 3))
    tints = (directions > 0).astype(np.float64)
    found: Floats = np.unique((1 - mix) * tints + mix * own[(own @ directions.T).argmax(axis=0)], axis=0)
    return found


def _distance(pixels: Floats, hull: Floats) -> float:
    """Mean squared distance of pixels [P, 3] from the convex hull of points [V, 3] (Frank and Wolfe's method)."""
    at = np.repeat(hull[-1:], len(pixels), axis=0)
    for _ in range(ROUNDS):
        slope = at - pixels
        towards = hull[(slope @ hull.T).argmin(axis=1)] - at
        length = np.square(towards).sum(axis=1)
        share = np.clip(-(slope * towards).sum(axis=1) / np.maximum(length, 1e-12), 0, 1)
        at = at + share[:, None] * towards
    return float(np.square(at - pixels).sum(axis=1).mean())
