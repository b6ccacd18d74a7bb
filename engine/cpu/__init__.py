# SPDX-License-Identifier: GPL-3.0-or-later
"""The native CPU back end: C++17 over tiles of 16 x 16 pixels, threads, and vectors of pixels.

plan.cpp finds the tiles that each sprite touches, tile_forward.h, tile_backward.h and tile_candidates.h are the passes
over one tile, composite.cpp runs them over all, and engine/kernels holds the mathematics of a pixel. Images are
float32, gradients float64; the functions are those of `smalti.engine.raster.backends.Operations`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import AnyArray, Float32Array, Float64Array, Int32Array, UInt64Array
from ..raster.atlas import Atlas
from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, merged_stack
from ..raster.scene import STOP, Gradients, Scene, loss_scale
from ..raster.step import PARAMETERS, Step
from . import _native as _native
from .thread_count import threads, threads_to_kernels, threads_to_torch

__all__ = [
    "FusedStep",
    "backward",
    "evaluate_candidates",
    "forward",
    "instruction_set",
    "loss_and_gradients",
    "threads",
    "threads_to_kernels",
    "threads_to_torch",
]


def instruction_set() -> str:
    """Which build of the kernels runs here: ``"avx512"``, ``"avx2"`` or ``"baseline"``."""
    return str(_native.instruction_set())


def forward(scene: Scene[AnyArray]) -> tuple[AnyArray, tuple[_native.Scene, _native.Plan]]:
    """See `smalti.engine.raster.backends.Operations`."""
    native = _native_scene(scene)
    image = np.empty((*scene.size, 4), np.float32)
    return image, (native, _native.forward(native, image, threads()))


def backward(saved: tuple[_native.Scene, _native.Plan], grad_image: AnyArray) -> Gradients[AnyArray]:
    """See `smalti.engine.raster.backends.Operations`."""
    native, plan = saved
    gradients = _empty_gradients(native.sprites)
    _native.backward(native, plan, _picture(grad_image), gradients.affine, gradients.opacity, gradients.tint, threads())
    return gradients


def loss_and_gradients(
    scene: Scene[AnyArray], goal: AnyArray, absolute: bool, encoded: bool
) -> tuple[float, Gradients[AnyArray]]:
    """See `smalti.engine.raster.backends.Operations`. One pass over the tiles samples every sprite once, not twice."""
    native = _native_scene(scene)
    gradients = _empty_gradients(native.sprites)
    scale = loss_scale(scene.size)
    total = _native.loss_and_gradients(
        native,
        _picture(goal),
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
        native = _native_scene(scene)
        removal, coefficients = np.empty(native.sprites), np.empty((0, COEFFICIENTS))
        _native.evaluate_candidates(native, _picture(goal), None, removal, coefficients, threads())
        return CandidateScores(removal * loss_scale(scene.size), coefficients)
    stack = merged_stack(scene, candidates)
    native = _native_scene(stack.scene)
    removal, coefficients = np.empty(native.sprites), np.empty((native.sprites, COEFFICIENTS))
    _native.evaluate_candidates(native, _picture(goal), stack.entries, removal, coefficients, threads())
    count = len(scene)
    return CandidateScores(
        removal[stack.index[:count]] * loss_scale(scene.size),
        coefficients[stack.index[count:]] * loss_scale(scene.size),
    )


class FusedStep:
    """See `smalti.engine.raster.FusedStep`. What it works in is kept from step to step."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._workspace = _native.Workspace()

    def bind(
        self,
        parameters: Mapping[str, Float64Array],
        means: Mapping[str, Float64Array],
        squares: Mapping[str, Float64Array],
        template: AnyArray,
        extent: Float64Array,
    ) -> None:
        """See `smalti.engine.raster.FusedStep`. The arrays change at every step."""
        self._values = {name: value.reshape(-1) for name, value in parameters.items()}
        self._moments = {name: (means[name].reshape(-1), squares[name].reshape(-1)) for name in means}
        self._template, self._extent = template, _doubles(extent)

    def fetch(self) -> None:
        """Nothing to do: the arrays are those of the kernels."""

    def __call__(self, step: Step) -> float:
        """See `smalti.engine.raster.FusedStep`."""

        def parameter(name: str) -> _native.AdamParameter:
            value = self._values[name]
            if name not in self._moments:
                return _native.AdamParameter(value, value, value, 0.0)
            return _native.AdamParameter(value, *self._moments[name], step.learning_rates[name])

        height, width, _ = step.goal.shape
        # Affine, opacity and tint follow from the parameters.
        scene = _native.Scene(
            None,
            None,
            None,
            _integers(self._template),
            *_atlas_arrays(self._atlas),
            None if step.background is None else _picture(step.background),
            height,
            width,
            step.mix,
            step.lod_bias,
            STOP,
        )
        scale = loss_scale((height, width))
        of_affine, of_opacity = (None, None) if step.penalty is None else map(_doubles, step.penalty)
        total = _native.optimise(
            self._workspace,
            scene,
            _picture(step.goal),
            step.encoded,
            step.noise_key,
            scale,
            [parameter(name) for name in PARAMETERS],
            self._extent,
            step.adam,
            step.bounds,
            step.pixel,
            step.alpha_max,
            of_affine,
            of_opacity,
            threads(),
        )
        return total * scale


def _doubles(array: AnyArray) -> Float64Array:
    """Per-sprite numbers travel in double precision: N of them cost nothing, and positions keep their fractions."""
    return np.ascontiguousarray(array, dtype=np.float64)


def _picture(array: AnyArray) -> Float32Array:
    return np.ascontiguousarray(array, dtype=np.float32)


def _empty_gradients(sprites: int) -> Gradients[AnyArray]:
    return Gradients(np.empty((sprites, 6)), np.empty(sprites), np.empty((sprites, 3)))


def _native_scene(scene: Scene[AnyArray]) -> _native.Scene:
    return _native.Scene(
        _doubles(scene.affine),
        _doubles(scene.opacity),
        _doubles(scene.tint),
        _integers(scene.template),
        *_atlas_arrays(scene.atlas),
        None if scene.background is None else _picture(scene.background),
        *scene.size,
        scene.mix,
        scene.lod_bias,
        scene.stop,
    )


def _atlas_arrays(atlas: Atlas) -> tuple[UInt64Array, UInt64Array, Int32Array, Int32Array]:
    return atlas.alpha_quads, atlas.words, atlas.first_level, atlas.levels


def _integers(array: AnyArray) -> Int32Array:
    return np.ascontiguousarray(array, np.int32)
