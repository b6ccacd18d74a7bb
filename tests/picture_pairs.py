# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of pictures that losses compare, as planes [3, height, width], display-encoded, float64."""

from __future__ import annotations

import numpy as np

from smalti.engine.arrays import Float64Array

Pair = tuple[Float64Array, Float64Array]


def alike(height: int = 29, width: int = 34, seed: int = 1) -> Pair:
    """A rendered picture and its goal, somewhat alike."""
    rng = np.random.default_rng(seed)
    goal = rng.uniform(0, 1, (3, height, width))
    return np.clip(0.3 + 0.5 * goal + rng.normal(0, 0.1, goal.shape), 0, 1), goal


def off_the_kinks(height: int, width: int, seed: int = 1) -> Pair:
    """As `alike`, where no difference is nearly 0 or nearly where the term huber becomes linear."""
    rng = np.random.default_rng(seed)
    goal = rng.uniform(0.3, 0.7, (3, height, width))
    away = rng.choice([-1, 1], goal.shape) * rng.choice([0.05, 0.15], goal.shape)
    return goal + away + rng.uniform(-0.03, 0.03, goal.shape), goal


def nearly_flat(height: int, width: int, seed: int = 1) -> Pair:
    """Large areas of one color each, a soft ramp among them, and noise of one level of 255 on all."""
    rng = np.random.default_rng(seed)
    goal = rng.uniform(0, 1, (3, -(-height // 40), -(-width // 40))).repeat(40, axis=1).repeat(40, axis=2)
    goal = goal[:, :height, :width].copy()
    goal[:, : height // 4] = np.linspace(0.2, 0.9, width)
    levels = [np.clip(np.rint(255 * goal) + rng.integers(-1, 2, goal.shape), 0, 255) / 255 for _ in range(2)]
    return levels[0], levels[1]


def pixel_weights(height: int, width: int, seed: int = 2) -> Float64Array:
    """[height, width] from 0 to 2, some of them 0."""
    return np.maximum(np.random.default_rng(seed).uniform(-0.2, 2, (height, width)), 0)
