# SPDX-License-Identifier: GPL-3.0-or-later
"""From parameters to maps, and a gradient's way back."""

from __future__ import annotations

import numpy as np

from smalti.engine.arrays import Float64Array
from smalti.engine.raster.geometry import affine_maps, pose_gradient

STEP = 1e-6


def test_a_gradient_by_maps_becomes_one_by_pose_as_central_differences_say() -> None:
    rng = np.random.default_rng(0)
    n = 50
    theta = rng.uniform(-7, 7, n)
    theta[:4] = 0.5 * np.pi * np.arange(4)
    aspect, shape = rng.normal(0, 0.5, n), rng.uniform(1, 50, (n, 2))
    weight = rng.normal(0, 1, (n, 6))
    x, y, log_scale = rng.uniform(-20, 80, n), rng.uniform(-20, 60, n), rng.uniform(-1, 4, n)
    pose = {"x": x, "y": y, "log_scale": log_scale, "theta": theta}

    def maps(**changed: Float64Array) -> Float64Array:
        at = {**pose, **changed}
        return affine_maps(at["x"], at["y"], np.exp(at["log_scale"]), aspect, at["theta"], shape)

    found = pose_gradient(maps(), weight)
    for name, values in pose.items():
        above, below = maps(**{name: values + STEP}), maps(**{name: values - STEP})
        expected = (weight * (above - below)).sum(axis=1) / (2 * STEP)
        # What is left after opposite terms cancel is as exact as those terms.
        size = (abs(weight * maps())).sum(axis=1)
        np.testing.assert_array_less(abs(getattr(found, name) - expected), 1e-6 * abs(expected) + 1e-8 * size)
