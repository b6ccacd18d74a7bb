# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA back end: kernels that are compiled on the user's machine, and what launches them.

binning.cuh finds the tiles that each sprite touches, tile_draw.cuh, tile_backward.cuh and tile_candidates.cuh are the
passes over one tile, update.cuh makes Adam's step, smalti.cu names the kernels; the mathematics of a pixel and of a
sprite is that of engine/kernels, as on the CPU. Results are the same bits each time on one card: no number is added up
in an order that could change.

The functions are those of `smalti.engine.raster.backends.Operations`: NumPy arrays give NumPy arrays, arrays on the
device stay there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, merged_stack
from ..raster.scene import Gradients, Scene, loss_scale
from .binning import GRADIENT_SUMS, Argument, Launcher, PreparedScene, sum_losses, to_device, to_tensor
from .driver import memory_errors, why_not
from .fused_step import FusedStep, StepLoss

__all__ = [
    "FusedStep",
    "Launcher",
    "StepLoss",
    "backward",
    "evaluate_candidates",
    "forward",
    "loss_and_gradients",
    "why_not",
]


def forward(scene: Scene[Any]) -> tuple[Any, tuple[PreparedScene, bool]]:
    """See `smalti.engine.raster.backends.Operations`."""
    prepared, on_host = PreparedScene(scene), _is_on_host(scene)
    height, width = scene.size
    with memory_errors(16 * height * width, prepared.bins.describe()):
        image = torch.empty(height, width, 4, dtype=torch.float32, device=prepared.launcher.device)
    prepared.run("draw", image)
    return _returned(image, on_host), (prepared, on_host)


def backward(saved: tuple[PreparedScene, bool], grad_image: Any) -> Gradients[Any]:
    """See `smalti.engine.raster.backends.Operations`."""
    prepared, on_host = saved
    sums = prepared.bins.partial_sums(GRADIENT_SUMS)
    prepared.run("differentiate", to_device(grad_image, prepared.launcher.device), sums)
    return _gradients(prepared, sums, on_host)


def loss_and_gradients(scene: Scene[Any], goal: Any, absolute: bool, encoded: bool) -> tuple[Any, Gradients[Any]]:
    """See `smalti.engine.raster.backends.Operations`. One pass over the tiles draws, compares and differentiates."""
    prepared, on_host = PreparedScene(scene), _is_on_host(scene)
    launcher, bins = prepared.launcher, prepared.bins
    sums = bins.partial_sums(GRADIENT_SUMS)
    losses = torch.empty(bins.tiles, dtype=torch.float32, device=launcher.device)
    loss = torch.empty((), dtype=torch.float64, device=launcher.device)
    scale = loss_scale(scene.size)
    prepared.run("step", to_device(goal, launcher.device), scale, int(absolute), int(encoded), 0, None, sums, losses)
    sum_losses(launcher, losses, scale, bins, None, loss)
    return _returned(loss, on_host), _gradients(prepared, sums, on_host)


def evaluate_candidates(scene: Scene[Any], goal: Any, candidates: Candidates[Any] | None) -> CandidateScores[Any]:
    """See `smalti.engine.raster.backends.Operations`."""
    on_host, scale = _is_on_host(scene), loss_scale(scene.size)
    if candidates is None:
        errors = _scores(PreparedScene(scene), goal, "removal", 1)[:, 0]
        coefficients = errors.new_empty(0, COEFFICIENTS)
    else:
        stack = merged_stack(_scene_on_host(scene), _candidates_on_host(candidates))
        prepared = PreparedScene(stack.scene)
        entries = torch.from_numpy(stack.entries).to(prepared.launcher.device)
        scores = _scores(prepared, goal, "candidates", 1 + COEFFICIENTS, entries)
        scores = scores[torch.from_numpy(stack.index).to(scores.device)]
        errors, coefficients = scores[: len(scene), 0], scores[len(scene) :, 1:]
    return CandidateScores(_returned(errors * scale, on_host), _returned(coefficients * scale, on_host))


def _gradients(prepared: PreparedScene, partial_sums: Tensor, on_host: bool) -> Gradients[Any]:
    """The gradients of sprites from the partial sums of pairs, float64."""
    bins = prepared.bins
    shapes = (bins.count, 6), (bins.count,), (bins.count, 3)
    grads = [torch.empty(shape, dtype=torch.float64, device=prepared.launcher.device) for shape in shapes]
    prepared.reduce("reduce_gradients", bins.sprites, bins.pair_start, bins.status, partial_sums, *grads)
    return Gradients(*(_returned(grad, on_host) for grad in grads))


def _scores(prepared: PreparedScene, goal: Any, name: str, each: int, *arguments: Argument) -> Tensor:
    """[N, each] float64: sums over all pixels, not divided, of a pass that finds `each` of them for every pair."""
    bins, device = prepared.bins, prepared.launcher.device
    sums = bins.partial_sums(each)
    scores = torch.empty(bins.count, each, dtype=torch.float64, device=device)
    prepared.run(name, to_device(goal, device), *arguments, sums)
    prepared.reduce(f"reduce_{name}", bins.pair_start, bins.status, sums, scores)
    return scores


def _is_on_host(scene: Scene[Any]) -> bool:
    return isinstance(scene.affine, np.ndarray)


def _returned(result: Tensor, on_host: bool) -> Any:
    """A result in NumPy where the scene was, otherwise it stays on the device."""
    return result.cpu().numpy() if on_host else result


def _scene_on_host(scene: Scene[Any]) -> Scene[Any]:
    affine, opacity, tint, template = (
        to_tensor(array).cpu().numpy() for array in (scene.affine, scene.opacity, scene.tint, scene.template)
    )
    return replace(scene, affine=affine, opacity=opacity, tint=tint, template=template)


def _candidates_on_host(candidates: Candidates[Any]) -> Candidates[Any]:
    names = ("affine", "template", "replaces", "position")
    return Candidates(*(to_tensor(getattr(candidates, name)).cpu().numpy() for name in names))
