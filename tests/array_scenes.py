# SPDX-License-Identifier: GPL-3.0-or-later
"""The random scenes, for the tests of the CUDA kernels."""

from __future__ import annotations

import scenes
from scenes import random_candidates, random_scene, stacked_scene, with_gradients
from smalti.engine.arrays import Float32Array

__all__ = ["random_candidates", "random_goal", "random_scene", "stacked_scene", "with_gradients"]


def random_goal(size: tuple[int, int], seed: int = 0) -> Float32Array:
    """A picture [height, width, 4]."""
    return scenes.random_goal(*size, seed)
