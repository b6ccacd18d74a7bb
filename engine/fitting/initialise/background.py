# SPDX-License-Identifier: GPL-3.0-or-later
"""The background color, where the job leaves it open.

Sprites of free tints can show any color, so the target's mean is as good a background as any. Templates that keep their
own colors, and tints of a palette, cannot: black ink darkens a background and never lightens it. Together they can mix
the colors of their convex hull, so the background moves from the mean to where the target lies nearer to that hull.
With a palette it is a color of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import Float64Array, FloatArray


@dataclass(frozen=True)
class BackgroundSettings:
    """How the background color is searched for.

    Attributes:
        distance_cost: of a squared distance from the mean, against the mean squared distance of the target from the
            hull.
        samples: pixels of the target that stand for it.
        directions: in which the outermost colors are looked for.
        hull_steps: iterations of the distance from the hull.
        starts: colors of the target from which the search starts.
        refined: how many of the best of those are followed.
        palette_choices: colors of the target among which it is chosen where there is a palette.
        step_lengths: of the search, in color values.
    """

    distance_cost: float = 0.005
    samples: int = 600
    directions: int = 60
    hull_steps: int = 40
    starts: int = 16
    refined: int = 3
    palette_choices: int = 100
    step_lengths: tuple[float, ...] = (0.2, 0.1, 0.05, 0.02)


def background_color(
    target: Float64Array,
    bitmaps: Sequence[FloatArray],
    mix: float,
    palette: FloatArray | None = None,
    settings: BackgroundSettings = BackgroundSettings(),
) -> Float64Array:
    """The background color that suits target and templates best, [3] straight, in the blend space.

    Args:
        target: [H, W, 4] premultiplied, in the blend space, opaque.
        bitmaps: the templates, each [h, w, 4] premultiplied, in the blend space.
        mix: color mix, 0 to 1.
        palette: [P, 3] the only tints, in the blend space; None for any.
        settings: see `BackgroundSettings`.
    """
    pixels: Float64Array = target[..., :3].reshape(-1, 3)
    mean: Float64Array = pixels.mean(axis=0)
    if mix == 0 and palette is None:
        return mean
    rng = np.random.default_rng(0)
    pixels = pixels[rng.permutation(len(pixels))[: settings.samples]]
    reachable = _outermost(bitmaps, mix, palette, settings.directions, rng)

    known: dict[bytes, float] = {}

    def cost(background: Float64Array) -> float:
        key = background.tobytes()
        if key not in known:  # the search comes to many colors more than once
            hull = np.vstack([reachable, background])
            from_mean = float(np.square(background - mean).sum())
            known[key] = hull_distance(pixels, hull, settings.hull_steps) + settings.distance_cost * from_mean
        return known[key]

    if palette is not None:
        # With a user's palette, stay on the target's hues: red and a green background would come nearer to a brown cup.
        return min((mean, *pixels[: settings.palette_choices]), key=cost)
    # There are several places where no small step helps: the mean, and beyond colors of the target.
    factors = np.array([1.0, 1.5])[:, None, None]
    beyond = np.clip(mean + factors * (pixels[: settings.starts] - mean), 0, 1).reshape(-1, 3)
    starts = sorted(np.vstack([mean, beyond]), key=cost)[: settings.refined]
    return min((_descended(cost, start, settings.step_lengths) for start in starts), key=cost)


def _descended(
    cost: Callable[[Float64Array], float], best: Float64Array, step_lengths: Sequence[float]
) -> Float64Array:
    """Where smaller and smaller steps from a color lead."""
    least = cost(best)
    for step in step_lengths:
        moved = True
        while moved:
            moved = False
            for move in np.vstack([np.eye(3), -np.eye(3), np.ones(3), -np.ones(3)]) * step:
                candidate = np.clip(best + move, 0, 1)
                if (its_cost := cost(candidate)) < least - 1e-7:
                    best, least, moved = candidate, its_cost, True
    return best


def _outermost(
    bitmaps: Sequence[FloatArray], mix: float, palette: FloatArray | None, directions: int, rng: np.random.Generator
) -> Float64Array:
    """[V, 3]: mean colors of the templates, mixed with any tint that may be, that no others surround.

    Means and not single texels: what only some texels show can cover no part of a picture
    (docs/fitting-measurements.md).
    """
    means = [bitmap.reshape(-1, 4).mean(axis=0, dtype=np.float64) for bitmap in bitmaps]
    own = np.array([mean[:3] / max(mean[3], 1e-9) for mean in means])
    outward = rng.normal(size=(directions, 3))
    tints = (outward > 0).astype(np.float64) if palette is None else palette[(palette @ outward.T).argmax(axis=0)]
    hull: Float64Array = np.unique((1 - mix) * tints + mix * own[(own @ outward.T).argmax(axis=0)], axis=0)
    return hull


def hull_distance(pixels: Float64Array, hull: Float64Array, steps: int) -> float:
    """Mean squared distance of pixels [P, 3] from the convex hull of points [V, 3] (the Frank-Wolfe algorithm)."""
    goal, corners = np.ascontiguousarray(pixels.T), np.ascontiguousarray(hull.T)
    nearest = np.repeat(corners[:, -1:], len(pixels), axis=1)
    for _ in range(steps):
        gradient = nearest - goal
        towards = corners.take((gradient.T @ corners).argmin(axis=1), axis=1) - nearest
        fraction = np.clip(-_sum(gradient * towards) / np.maximum(_sum(np.square(towards)), 1e-12), 0, 1)
        nearest = nearest + fraction * towards
    return float(_sum(np.square(nearest - goal)).mean())


def _sum(channels: Float64Array) -> Float64Array:
    """[3, P] -> [P]; faster than NumPy's own over so short an axis."""
    total: Float64Array = channels[0] + channels[1] + channels[2]
    return total
