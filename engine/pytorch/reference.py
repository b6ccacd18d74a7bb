# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference back end: plain torch, dense, slow, and written to be checked by eye against docs/forward-model.md.

It computes in the type of the scene's `affine`, differentiates through torch's autograd, and is the oracle of every
test: the other back ends must return what it returns. The notation is that of engine/kernels/sprite.h.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..arrays import AnyArray
from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, StackPosition
from ..raster.scene import Gradients, Scene, loss_scale
from .display import encoded_picture
from .fused_step import FusedStep
from .rasterise import composite_tensors as _composite

__all__ = ["FusedStep", "backward", "evaluate_candidates", "forward", "loss_and_gradients"]


def forward(scene: Scene[AnyArray]) -> tuple[AnyArray, Scene[AnyArray]]:
    """See `smalti.engine.raster.backends.Operations`."""
    with torch.no_grad():
        return _composite(_tensors(scene)).numpy(), scene


def backward(saved: Scene[AnyArray], grad_image: AnyArray) -> Gradients[AnyArray]:
    """See `smalti.engine.raster.backends.Operations`. Draws the image again."""
    with torch.enable_grad():
        scene = _with_leaves(saved)
        image = _composite(scene)
        return _gradients(image, scene, _tensor(grad_image).to(image.dtype))


def loss_and_gradients(
    scene: Scene[AnyArray], goal: AnyArray, absolute: bool, encoded: bool
) -> tuple[AnyArray, Gradients[AnyArray]]:
    """See `smalti.engine.raster.backends.Operations`."""
    with torch.enable_grad():
        differentiated = _with_leaves(scene)
        loss = _image_loss(differentiated, _tensor(goal), absolute, encoded)
        return loss.detach().numpy(), _gradients(loss, differentiated)


def evaluate_candidates(
    scene: Scene[AnyArray], goal: AnyArray, candidates: Candidates[AnyArray] | None
) -> CandidateScores[AnyArray]:
    """See `smalti.engine.raster.backends.Operations`. Draws the image once for each sprite and candidate, or more."""
    with torch.no_grad():
        tensors, target = _tensors(scene), _tensor(goal)
        removal = _removal_errors(tensors, target)
        rows = [_coefficients(tensors, target, candidates, j) for j in range(len(candidates))] if candidates else []
    coefficients = torch.stack(rows) if rows else removal.new_zeros(0, COEFFICIENTS)
    return CandidateScores(removal.numpy(), coefficients.numpy())


def _tensor(array: AnyArray) -> Tensor:
    return torch.from_numpy(np.array(array))


def _tensors(scene: Scene[AnyArray]) -> Scene[Tensor]:
    return Scene(
        _tensor(scene.affine),
        _tensor(scene.opacity),
        _tensor(scene.tint),
        _tensor(scene.template),
        scene.atlas,
        scene.size,
        None if scene.background is None else _tensor(scene.background),
        scene.mix,
        scene.lod_bias,
        scene.stop,
        shade=scene.shade,
    )


def _with_leaves(scene: Scene[AnyArray]) -> Scene[Tensor]:
    """The scene as tensors that autograd differentiates by."""
    tensors = _tensors(scene)
    for leaf in (tensors.affine, tensors.opacity, tensors.tint):
        leaf.requires_grad_()
    return tensors


def _gradients(value: Tensor, scene: Scene[Tensor], weight: Tensor | None = None) -> Gradients[AnyArray]:
    """Of the sum of the value, weighted."""
    leaves = scene.affine, scene.opacity, scene.tint
    if not len(scene):  # then nothing depends on them
        return Gradients(*(torch.zeros_like(leaf).numpy() for leaf in leaves))
    return Gradients(*(grad.numpy() for grad in torch.autograd.grad(value, leaves, weight)))


def _image_loss(
    scene: Scene[Tensor], goal: Tensor, absolute: bool, encoded: bool, unlimited: int | None = None
) -> Tensor:
    image = _composite(scene, unlimited)
    if encoded:
        image = encoded_picture(image)
    difference = image - goal.to(image.dtype)
    return (difference.abs() if absolute else difference.square()).sum() * loss_scale(scene.size)


def _removal_errors(scene: Scene[Tensor], goal: Tensor) -> Tensor:
    """[N]: draws the picture once without each sprite."""
    count = len(scene)

    def loss(kept: Tensor) -> Tensor:
        return _image_loss(replace(scene, opacity=scene.opacity * kept), goal, False, False)

    one = torch.ones(count, dtype=scene.affine.dtype)
    before = loss(one)
    errors = [loss(one.index_fill(0, torch.tensor(k), 0.0)) - before for k in range(count)]
    return torch.stack(errors) if errors else one


def _coefficients(scene: Scene[Tensor], goal: Tensor, candidates: Candidates[AnyArray], j: int) -> Tensor:
    """[9]: draws candidate j in a few opacities and tints, and solves for its coefficients."""
    replaced = int(candidates.replaces[j])
    opacity = scene.opacity if replaced < 0 else scene.opacity.index_fill(0, torch.tensor(replaced), 0.0)
    without = replace(scene, opacity=opacity)
    before = _image_loss(without, goal, False, False)
    black = scene.tint.new_zeros(3)
    at = _place_of(without, candidates, j)

    def change(opacity: float, premultiplied: Tensor) -> Tensor:
        tint = premultiplied / opacity if opacity else premultiplied
        return _image_loss(_inserted(without, candidates, j, at, opacity, tint), goal, False, False, at) - before

    # A tint above 1 is no color, but the formula does not mind.
    half, whole = change(0.5, black), change(1.0, black)
    own, match = 2 * (whole - 2 * half), 0.5 * (whole - 4 * half)
    cross, tint, squares = [], [], scene.tint.new_zeros(())
    for channel in range(3):
        one = black.index_fill(0, torch.tensor(channel), 1.0)
        # E(1, s) - E(1, 0) = squares s^2 + 2 s (cross - tint); with o = 1/2: squares s^2 + s (cross - 2 tint).
        first, second = change(1.0, one) - whole, change(1.0, 2 * one) - whole
        third = change(0.5, one) - half
        squares = 0.5 * (second - 2 * first)
        cross.append(first - third)
        tint.append(0.5 * (squares + 2 * cross[-1] - first))
    return torch.stack([squares, *cross, own, *tint, match])


def _place_of(without: Scene[Tensor], candidates: Candidates[AnyArray], j: int) -> int:
    """Where in the stack candidate j is inserted."""
    return {
        StackPosition.IN_PLACE: int(candidates.replaces[j]) + 1,
        StackPosition.TOP: len(without),
        StackPosition.BOTTOM: 0,
    }[StackPosition(candidates.position[j])]


def _inserted(
    without: Scene[Tensor], candidates: Candidates[AnyArray], j: int, at: int, opacity: float, tint: Tensor
) -> Scene[Tensor]:
    """The scene with candidate j of this opacity and tint; `without` has what it replaces at opacity 0."""

    def inserted(values: Tensor, value: Tensor) -> Tensor:
        return torch.cat([values[:at], value.to(values.dtype), values[at:]])

    return replace(
        without,
        affine=inserted(without.affine, _tensor(candidates.affine[j : j + 1])),
        opacity=inserted(without.opacity, torch.tensor([opacity])),
        tint=inserted(without.tint, tint.reshape(1, 3)),
        template=inserted(without.template, _tensor(candidates.template[j : j + 1])),
    )
