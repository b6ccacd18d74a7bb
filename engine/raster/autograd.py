# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of any back end on torch tensors, wrapped in autograd once for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from .backends import Operations
from .candidates import Candidates, CandidateScores
from .scene import Array, Gradients, Scene


def draw(scene: Scene[Tensor], operations: Operations) -> Tensor:
    """See `smalti.engine.raster.draw`."""
    _check_constants(scene)
    image: Tensor = _Draw.apply(scene.affine, scene.opacity, scene.tint, scene, operations)  # type: ignore[no-untyped-call]
    return image


def image_loss(scene: Scene[Tensor], goal: Any, operations: Operations, absolute: bool, encoded: bool) -> Tensor:
    """See `smalti.engine.raster.image_loss`."""
    _check_constants(scene)

    def compute() -> tuple[Any, Gradients[Any]]:
        return operations.loss_and_gradients(_arrays(scene), _array(goal), absolute, encoded)

    loss: Tensor = _ImageLoss.apply(scene.affine, scene.opacity, scene.tint, compute)  # type: ignore[no-untyped-call]
    return loss


def evaluate_candidates(
    scene: Scene[Tensor], goal: Any, candidates: Candidates[Any] | None, operations: Operations
) -> CandidateScores[Tensor]:
    """See `smalti.engine.raster.evaluate_candidates`. Not differentiable."""
    if candidates is not None:
        candidates = Candidates(
            *(_array(a) for a in (candidates.affine, candidates.template, candidates.replaces, candidates.position))
        )
    scores = operations.evaluate_candidates(_arrays(scene), _array(goal), candidates)
    return CandidateScores(_tensor(scores.removal_errors), _tensor(scores.coefficients))


class _Draw(torch.autograd.Function):
    """The sprites' tensors are arguments besides the scene that holds them, so that autograd sees them."""

    @staticmethod
    def forward(
        ctx: Any, affine: Tensor, opacity: Tensor, tint: Tensor, scene: Scene[Tensor], operations: Operations
    ) -> Tensor:
        image, ctx.saved = operations.forward(_arrays(scene))
        ctx.backward_of = operations.backward
        ctx.like = [(t.dtype, t.device) for t in (affine, opacity, tint)]
        return _tensor(image)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gradients = _tensors(ctx.backward_of(ctx.saved, _array(grads[0])))
        return (*(g.to(device, dtype) for g, (dtype, device) in zip(gradients, ctx.like)), None, None)


class _ImageLoss(torch.autograd.Function):
    """Its gradient is known as soon as its value is: `compute` returns both."""

    @staticmethod
    def forward(
        ctx: Any, affine: Tensor, opacity: Tensor, tint: Tensor, compute: Callable[[], tuple[Any, Gradients[Any]]]
    ) -> Tensor:
        loss, gradients = compute()
        ctx.save_for_backward(*(g.to(t.device, t.dtype) for g, t in zip(_tensors(gradients), (affine, opacity, tint))))
        return _tensor(loss)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*((grads[0] * g).to(g.dtype) for g in ctx.saved_tensors), None)


def _check_constants(scene: Scene[Tensor]) -> None:
    background = scene.background
    if isinstance(background, Tensor) and background.requires_grad and torch.is_grad_enabled():
        raise ValueError("the background is a constant: it has no gradient")


def _arrays(scene: Scene[Tensor]) -> Scene[Any]:
    """The scene as a back end takes it: NumPy arrays for tensors in the CPU's memory, which is shared."""
    return replace(
        scene,
        affine=_array(scene.affine),
        opacity=_array(scene.opacity),
        tint=_array(scene.tint),
        template=_array(scene.template),
        background=None if scene.background is None else _array(scene.background),
    )


def _array(values: Any) -> Any:
    if not isinstance(values, Tensor):
        return values
    values = values.detach()
    return values.numpy() if values.is_cpu else values


def _tensor(array: Array | float) -> Tensor:
    """A back end's result as a tensor, in the same memory."""
    if isinstance(array, Tensor):
        return array
    if isinstance(array, (np.ndarray, float)):
        return torch.from_numpy(np.asarray(array))
    return from_dlpack(array)


def _tensors(gradients: Gradients[Any]) -> tuple[Tensor, Tensor, Tensor]:
    return _tensor(gradients.affine), _tensor(gradients.opacity), _tensor(gradients.tint)
