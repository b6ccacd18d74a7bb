# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole steps of the optimizer on the CPU, and losses between two pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..arrays import Float32Array, Float64Array, FloatArray
from ..raster.atlas import Atlas
from ..raster.loss import ALPHA, NEIGHBOURHOOD_TERMS, PIXEL_TERMS, StepLoss
from ..raster.scene import STOP, loss_scale
from ..raster.step import PARAMETERS, SpriteArrays, Step
from ..thread_count import threads
from . import _native as _native
from .native_arrays import atlas_arrays, doubles, integers, picture


class FusedStep:
    """See `smalti.engine.raster.FusedStep`. What it works in is kept from step to step."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._workspace = _native.Workspace()
        self._loss_workspace = _native.LossWorkspace()
        self._planes = np.empty((3, 3, 0, 0), np.float32)

    def bind(self, sprites: SpriteArrays) -> None:
        """See `smalti.engine.raster.FusedStep`. The arrays change at every step."""
        means, squares = sprites.means, sprites.squares
        self._values = {name: value.reshape(-1) for name, value in sprites.parameters.items()}
        self._moments = {name: (means[name].reshape(-1), squares[name].reshape(-1)) for name in means}
        self._template, self._extent = integers(sprites.template), doubles(sprites.extent)
        self._gates = None if sprites.gates is None else doubles(sprites.gates)

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
            self._template,
            *atlas_arrays(self._atlas),
            None if step.background is None else picture(step.background),
            height,
            width,
            step.mix,
            step.shade,
            step.lod_bias,
            STOP,
        )
        sprites = _native.StepSprites([parameter(n) for n in PARAMETERS], self._extent, step.pixel, step.alpha_max)
        goal = _native.StepGoal(picture(step.goal), step.encoded, step.noise_key)
        _native.prepare(self._workspace, scene, sprites, threads())
        terms, other = (None, 0.0) if step.loss is None else self._terms(step.loss, scene, goal, (height, width))
        scale = loss_scale((height, width))
        of_affine, of_opacity = (None, None) if step.penalty is None else map(doubles, step.penalty)
        total = _native.optimise(
            self._workspace,
            scene,
            sprites,
            goal,
            terms,
            scale,
            step.adam,
            step.bounds,
            step.scale_in_pixels,
            of_affine,
            of_opacity,
            self._gates,
            threads(),
        )
        return total * scale if math.isfinite(other) else other

    def _terms(
        self, loss: StepLoss, scene: _native.Scene, goal: _native.StepGoal, size: tuple[int, int]
    ) -> tuple[_native.StepTerms, float]:
        """What the pass over the tiles is given of a loss, and the value of its terms in Python."""
        weights = None if loss.weights is None else picture(loss.weights)
        gradient, other = None, 0.0
        if loss.needs_picture:
            if self._planes.shape[2:] != size:
                self._planes = np.empty((3, 3, *size), np.float32)
            shown, expected, gradient = self._planes
            _native.show(self._workspace, scene, goal, shown, expected, threads())
            gradient[:] = 0
            if loss.other is not None:
                other, gradient[:] = loss.other(shown, expected)
            neighbourhood = loss.of(NEIGHBOURHOOD_TERMS)
            none = (0.0,) * len(PIXEL_TERMS)
            _native.picture_loss(
                self._loss_workspace, shown, expected, weights, none, neighbourhood, gradient, threads()
            )
        unit = loss_scale(size)
        mse, l1, huber, oklab = loss.of(PIXEL_TERMS)
        alpha = 3 * unit * loss.factors.get(ALPHA, 0.0)
        target_alpha = None if loss.target_alpha is None else picture(loss.target_alpha)
        pixel = (unit * mse, unit * l1, unit * huber, 3 * unit * oklab)
        return _native.StepTerms(pixel, alpha, weights, target_alpha, gradient), other


def picture_loss(
    rendered: FloatArray, goal: FloatArray, weights: FloatArray | None, factors: Mapping[str, float]
) -> tuple[float, FloatArray]:
    """A sum of terms between two pictures, and its gradient by the first, in the type of `rendered`.

    Args:
        rendered, goal: [3, height, width], display-encoded; float32 or float64.
        weights: [height, width] how much each pixel counts; None for all alike.
        factors: by the names of terms (see `smalti.engine.raster.StepLoss`); alpha is none of them.
    """
    dtype = np.float64 if rendered.dtype == np.float64 else np.float32
    workspace = _native.DoubleLossWorkspace() if dtype == np.float64 else _native.LossWorkspace()
    gradient: Float32Array | Float64Array = np.zeros(rendered.shape, dtype)
    terms = StepLoss(factors)
    value = _native.picture_loss(
        workspace,
        np.ascontiguousarray(rendered, dtype),
        np.ascontiguousarray(goal, dtype),
        None if weights is None else np.ascontiguousarray(weights, dtype),
        terms.of(PIXEL_TERMS),
        terms.of(NEIGHBOURHOOD_TERMS),
        gradient,
        threads(),
    )
    return value, gradient
