# SPDX-License-Identifier: GPL-3.0-or-later
"""The native CPU back end: C++17 over tiles of 16 x 16 pixels, threads, and vectors of pixels.

plan.cpp finds the tiles that each sprite touches, tile_forward.h, tile_backward.h and tile_candidates.h are the passes
over one tile, composite.cpp runs them over all, and engine/kernels holds the mathematics of a pixel. Images are
float32, gradients float64; the functions are those of `smalti.engine.raster.backends.Operations`.
"""

from __future__ import annotations

import numpy as np

from ..arrays import AnyArray, Float32Array, Int32Array, Int64Array
from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, merged_stack
from ..raster.scene import Gradients, Scene, loss_scale
from ..thread_count import threads
from . import _native as _native
from .fused_step import FusedStep
from .native_arrays import picture
from .native_arrays import scene as native_scene

__all__ = [
    "FusedStep",
    "backward",
    "evaluate_candidates",
    "forward",
    "instruction_set",
    "loss_and_gradients",
    "pixel_weights",
]


def instruction_set() -> str:
    """Which build of the kernels runs here: ``"avx512"``, ``"avx2"`` or ``"baseline"``."""
    return str(_native.instruction_set())


def forward(scene: Scene[AnyArray]) -> tuple[AnyArray, tuple[_native.Scene, _native.Plan]]:
    """See `smalti.engine.raster.backends.Operations`."""
    native = native_scene(scene)
    image = np.empty((*scene.size, 4), np.float32)
    return image, (native, _native.forward(native, image, threads()))


def backward(saved: tuple[_native.Scene, _native.Plan], grad_image: AnyArray) -> Gradients[AnyArray]:
    """See `smalti.engine.raster.backends.Operations`."""
    native, plan = saved
    gradients = _empty_gradients(native.sprites)
    _native.backward(native, plan, picture(grad_image), gradients.affine, gradients.opacity, gradients.tint, threads())
    return gradients


def pixel_weights(scene: Scene[AnyArray], least: float) -> tuple[Int64Array, Int32Array, Float32Array]:
    """The start, pixel and weight of `smalti.engine.raster.visible_pixels.PixelWeights`."""
    return _native.pixel_weights(native_scene(scene), least, threads())


def loss_and_gradients(
    scene: Scene[AnyArray], goal: AnyArray, absolute: bool, encoded: bool
) -> tuple[float, Gradients[AnyArray]]:
    """See `smalti.engine.raster.backends.Operations`. One pass over the tiles samples every sprite once, not twice."""
    native = native_scene(scene)
    gradients = _empty_gradients(native.sprites)
    scale = loss_scale(scene.size)
    total = _native.loss_and_gradients(
        native,
        picture(goal),
        absolute,
        encoded,
        scale,
        gradients.affine,
        gradients.opacity,
        gradients.tint,
        threads(),
    )
    return total * scale, gradients


def evaluate_candidates(
    scene: Scene[AnyArray], goal: AnyArray, candidates: Candidates[AnyArray] | None
) -> CandidateScores[AnyArray]:
    """See `smalti.engine.raster.backends.Operations`.

    The removal errors are about as much work as `loss_and_gradients`, a candidate as much as drawing a sprite.
    """
    if candidates is None:
        native = native_scene(scene)
        removal, coefficients = np.empty(native.sprites), np.empty((0, COEFFICIENTS))
        _native.evaluate_candidates(native, picture(goal), None, removal, coefficients, threads())
        return CandidateScores(removal * loss_scale(scene.size), coefficients)
    stack = merged_stack(scene, candidates)
    native = native_scene(stack.scene)
    removal, coefficients = np.empty(native.sprites), np.empty((native.sprites, COEFFICIENTS))
    _native.evaluate_candidates(native, picture(goal), stack.entries, removal, coefficients, threads())
    count = len(scene)
    return CandidateScores(
        removal[stack.index[:count]] * loss_scale(scene.size),
        coefficients[stack.index[count:]] * loss_scale(scene.size),
    )


def _empty_gradients(sprites: int) -> Gradients[AnyArray]:
    return Gradients(np.empty((sprites, 6)), np.empty(sprites), np.empty((sprites, 3)))
