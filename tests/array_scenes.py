# SPDX-License-Identifier: GPL-3.0-or-later
"""The random scenes of all back ends as NumPy arrays, which is what a back end takes."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import scenes
from smalti.engine.arrays import AnyArray, Float32Array
from smalti.engine.raster import Candidates, Scene
from smalti.engine.raster.operations import drawing


def random_scene(seed: int, **changes: Any) -> Scene[AnyArray]:
    """See `scenes.random_scene`."""
    return _of_arrays(scenes.random_scene(seed, **changes))


def stacked_scene(seed: int, **changes: Any) -> Scene[AnyArray]:
    """See `scenes.stacked_scene`."""
    return _of_arrays(scenes.stacked_scene(seed, **changes))


def random_candidates(seed: int, scene: Scene[AnyArray], count: int) -> Candidates[AnyArray]:
    """See `scenes.random_candidates`."""
    arrays = {name: torch.from_numpy(getattr(scene, name)) for name in ("affine", "opacity", "tint", "template")}
    tensors: Any = SimpleNamespace(size=scene.size, atlas=scene.atlas, **arrays)
    made = scenes.random_candidates(seed, tensors, count)
    return Candidates(*(np.asarray(getattr(made, field.name)) for field in fields(made)))


def with_gradients(scene: Scene[AnyArray], back_end: str) -> tuple[AnyArray, tuple[AnyArray, AnyArray, AnyArray]]:
    """The image, and the gradients of sum(weight * image) by affine, opacity and tint."""
    drawn = drawing(scene, back_end)
    weight = np.random.default_rng(0).uniform(-1, 1, (*scene.size, 4))
    gradients = drawn.gradients(weight.astype(drawn.image.dtype))
    return drawn.image, (gradients.affine, gradients.opacity, gradients.tint)


def random_goal(size: tuple[int, int], seed: int = 0) -> Float32Array:
    """A picture [height, width, 4]."""
    return np.random.default_rng(seed).uniform(0, 1, (*size, 4)).astype(np.float32)


def _of_arrays(scene: Any) -> Scene[AnyArray]:
    names = ("affine", "opacity", "tint", "template", "background")
    found = {name: getattr(scene, name) for name in names}
    return replace(scene, **{name: None if value is None else np.asarray(value) for name, value in found.items()})
