# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of the optimizer in plain torch, in double precision: what the kernels' fused steps are tested against."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..arrays import AnyArray, Float64Array
from ..raster.atlas import Atlas
from ..raster.loss import ALPHA, KERNEL_TERMS
from ..raster.noise import noise_picture
from ..raster.scene import Scene, loss_scale
from ..raster.step import PARAMETERS, SpriteArrays, Step
from .display import encoded, encoded_picture
from .losses import Comparison, planes_of, sum_of_terms
from .rasterise import composite_tensors


class FusedStep:
    """See `smalti.engine.raster.FusedStep`."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas

    def bind(self, sprites: SpriteArrays) -> None:
        """See `smalti.engine.raster.FusedStep`. The arrays change at every step."""
        self._values, self._means, self._squares = sprites.parameters, sprites.means, sprites.squares
        self._gates = np.ones(len(sprites)) if sprites.gates is None else sprites.gates
        self._template, self._extent = (torch.from_numpy(np.array(a)) for a in (sprites.template, sprites.extent))

    def fetch(self) -> None:
        """Nothing to do: the arrays are those of the steps."""

    def __call__(self, step: Step) -> float:
        """See `smalti.engine.raster.FusedStep`."""
        leaves = {name: torch.from_numpy(self._values[name].copy()).requires_grad_() for name in PARAMETERS}
        affine, opacity, tint = self._drawn(leaves, step)
        height, width, _ = step.goal.shape
        goal, background = _over_background(step)
        scene = Scene(
            affine,
            opacity,
            tint,
            self._template,
            self._atlas,
            (height, width),
            background,
            step.mix,
            step.lod_bias,
            shade=step.shade,
        )
        image = composite_tensors(scene)
        if step.encoded:
            image = encoded_picture(image)
        loss, returned = (_squared(image, goal),) * 2 if step.loss is None else self._loss(step, scene, image, goal)
        if step.penalty is not None:
            of_affine, of_opacity = map(torch.from_numpy, step.penalty)
            loss = loss + (affine * of_affine).sum() + (opacity * of_opacity).sum()
        names = [name for name in PARAMETERS if name in self._means and step.learning_rates[name]]
        shut = np.flatnonzero(self._gates == 0)
        arrays = [*self._values.values(), *self._means.values(), *self._squares.values()]
        before = [array[shut] for array in arrays]
        leaves_to_step = [leaves[name] for name in names]
        gradients = torch.autograd.grad(loss, leaves_to_step, allow_unused=True) if leaves_to_step else ()
        for name, gradient in zip(names, gradients):
            self._update(name, step, np.zeros_like(self._values[name]) if gradient is None else gradient.numpy())
        self._keep_in_bounds(step, frozenset(names))
        for array, kept in zip(arrays, before):
            array[shut] = kept
        return float(returned.detach())

    def _drawn(self, leaves: Mapping[str, Tensor], step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Maps from drawn pixels, opacities and tints."""
        x, y, log_scale, theta, opacity, tint = (leaves[name] for name in PARAMETERS)
        half_width, half_height = (log_scale.exp() * self._extent[:, axis] for axis in (0, 1))
        a, b = theta.cos() / half_width, theta.sin() / half_width
        d, e = -theta.sin() / half_height, theta.cos() / half_height
        width, height = step.pixel
        maps = [a * width, b * height, -(a * x + b * y), d * width, e * height, -(d * x + e * y)]
        return torch.stack(maps, dim=1), step.alpha_max * opacity.sigmoid(), tint.sigmoid()

    def _loss(self, step: Step, scene: Scene[Tensor], image: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """What is minimized, and what is returned."""
        assert step.loss is not None
        factors = {name: factor for name in KERNEL_TERMS if (factor := step.loss.factors.get(name, 0.0))}
        alone = goal_alpha = None
        if ALPHA in factors:
            assert step.loss.target_alpha is not None
            covered = composite_tensors(Scene(**{**vars(scene), "background": None}))[..., 3]
            alone, goal_alpha = (plane[None, None] for plane in (covered, _doubles(step.loss.target_alpha)))
        weights = None if step.loss.weights is None else _doubles(step.loss.weights)[None, None]
        pictures = Comparison(planes_of(image), planes_of(goal), weights, alone, goal_alpha)
        loss = sum_of_terms(factors, pictures)
        returned = (pictures.rendered - pictures.goal).square().mean()
        if step.loss.other is not None:
            shown, expected = (p[0].detach().float().numpy() for p in (pictures.rendered, pictures.goal))
            value, gradient = step.loss.other(shown, expected)
            loss = loss + (pictures.rendered[0] * torch.from_numpy(gradient)).sum()
            if not math.isfinite(value):
                returned = torch.tensor(value)
        return loss, returned

    def _update(self, name: str, step: Step, gradient: Float64Array) -> None:
        """Adam (Kingma and Ba, 2015, algorithm 1) on one parameter."""
        first, second, first_bias, second_bias = step.adam
        mean, square = self._means[name], self._squares[name]
        mean += (1 - first) * (gradient - mean)
        square[:] = second * square + (1 - second) * gradient**2
        direction = mean / np.maximum(np.sqrt(square / second_bias), np.finfo(np.float64).tiny)
        if name == "log_scale" and step.scale_in_pixels:
            direction = direction * np.exp(-self._values[name])
        gates = self._gates.reshape(-1, *(1,) * (direction.ndim - 1))
        self._values[name] -= gates * step.learning_rates[name] / first_bias * direction

    def _keep_in_bounds(self, step: Step, free: frozenset[str]) -> None:
        low, high, logit, width, height, min_opacity = step.bounds
        if "log_scale" in free:
            np.clip(self._values["log_scale"], low, high, out=self._values["log_scale"])
        reach = 0.5 * np.exp(self._values["log_scale"]) * self._extent.numpy().max(axis=1)
        for name, length in (("x", width), ("y", height)):
            if name in free:
                np.clip(self._values[name], -reach, length + reach, out=self._values[name])
        for name in free & {"opacity", "tint"}:
            np.clip(self._values[name], -logit, logit, out=self._values[name])
        if "opacity" in free:
            np.maximum(self._values["opacity"], min_opacity, out=self._values["opacity"])


def _doubles(array: AnyArray) -> Tensor:
    return torch.from_numpy(np.asarray(array, np.float64))


def _over_background(step: Step) -> tuple[Tensor, Tensor | None]:
    """The goal as it is compared with, and the background."""
    goal = _doubles(step.goal)
    if step.noise_key is None:
        return goal, None if step.background is None else _doubles(step.background)
    noise = _doubles(noise_picture(step.noise_key, (goal.shape[0], goal.shape[1])))
    goal = goal + (1 - goal[..., 3:]) * noise
    return torch.cat([encoded(goal[..., :3]), goal[..., 3:]], dim=-1) if step.encoded else goal, noise


def _squared(image: Tensor, goal: Tensor) -> Tensor:
    """That of `smalti.engine.raster.image_loss`."""
    return (image - goal).square().sum() * loss_scale((goal.shape[0], goal.shape[1]))
