# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of any back end on torch tensors, wrapped in autograd once for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .. import raster
from ..raster import STOP, Atlas, Gradients, Scene
from ..raster.backends import Operations, operations


def composite(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    size: tuple[int, int],
    background: Tensor | None = None,
    mix: float = 0.0,
    lod_bias: float = 0.0,
    stop: float = STOP,
    back_end: str | None = None,
    shade: float = 0.0,
) -> Tensor:
    """`draw` with the fields of a `smalti.engine.raster.Scene` as arguments. Raises ValueError as both.

    Args:
        back_end: None takes ``"cuda"`` for tensors on a GPU, and ``"cpu"`` for others.
    """
    scene = Scene(affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop, shade=shade)
    return draw(scene, back_end or ("cuda" if affine.is_cuda else "cpu"))


def draw(scene: Scene[Tensor], back_end: str) -> Tensor:
    """Composite a scene of tensors (see `smalti.engine.raster.draw`).

    Differentiable in `affine`, `opacity` and `tint`, once (no second derivatives); everything else is a constant.
    Memory is shared with the back end, not copied, where types and devices are its own.

    Raises:
        ValueError: unknown back end, or a background that wants a gradient.
    """
    _check_constants(scene)
    image: Tensor = _Draw.apply(scene.affine, scene.opacity, scene.tint, scene, operations(back_end))  # type: ignore[no-untyped-call]
    return image


def image_loss(
    scene: Scene[Tensor], goal: Tensor, back_end: str, kind: Literal["mse", "l1"] = "mse", encoded: bool = False
) -> Tensor:
    """A scalar, differentiable as `draw` and faster than it (see `smalti.engine.raster.image_loss`).

    Raises:
        ValueError: as `draw`, an unknown kind, or a goal of another size.
    """
    _check_constants(scene)

    def compute() -> tuple[Any, Gradients[Any]]:
        return raster.image_loss(_arrays(scene), _array(goal), back_end, kind, encoded)

    loss: Tensor = _ImageLoss.apply(scene.affine, scene.opacity, scene.tint, compute)  # type: ignore[no-untyped-call]
    return loss


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


def _tensor(array: Any) -> Tensor:
    """A back end's result as a tensor, in the same memory."""
    if isinstance(array, Tensor):
        return array
    if isinstance(array, (np.ndarray, float)):
        return torch.from_numpy(np.asarray(array))
    array.device.synchronize()  # torch does not wait for the stream on which the kernels ran
    return torch.as_tensor(array, device="cuda")  # which takes the array's memory as it is


def _tensors(gradients: Gradients[Any]) -> tuple[Tensor, Tensor, Tensor]:
    return _tensor(gradients.affine), _tensor(gradients.opacity), _tensor(gradients.tint)
