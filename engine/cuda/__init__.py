# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA back end: kernels, which a wheel carries compiled, and what launches them through NVIDIA's driver.

binning.cuh finds the tiles that each sprite touches, tile_draw.cuh, tile_backward.cuh and tile_candidates.cuh are the
passes over one tile, update.cuh makes Adam's step, smalti.cu names the kernels; the mathematics of a pixel and of a
sprite is that of engine/kernels, as on the CPU. Results are the same bits each time on one card: no number is added up
in an order that could change.

The functions are those of `smalti.engine.raster.backends.Operations`: NumPy arrays give NumPy arrays, arrays on the
device (`__cuda_array_interface__`) give a `DeviceArray` each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import AnyArray
from ..raster.backends import MemoryInUse
from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, merged_stack
from ..raster.scene import Gradients, Scene, loss_scale
from .binning import GRADIENT_SUMS, THREADS, Argument, Launcher, PreparedScene, current_launcher
from .device import Device
from .fused_step import FusedStep, PendingLoss
from .launcher import why_not
from .memory import DeviceArray, copied, memory_errors, to_device, to_host

__all__ = [
    "DeviceArray",
    "FusedStep",
    "Launcher",
    "PendingLoss",
    "backward",
    "evaluate_candidates",
    "forward",
    "loss_and_gradients",
    "memory_in_use",
    "synchronize",
    "upload",
    "why_not",
]


def forward(scene: Scene[Any]) -> tuple[Any, tuple[PreparedScene, bool]]:
    """See `smalti.engine.raster.backends.Operations`."""
    prepared, on_host = PreparedScene(scene), _is_on_host(scene)
    height, width = scene.size
    with memory_errors(16 * height * width, prepared.bins.describe()):
        image = DeviceArray(prepared.launcher.device, (height, width, 4), np.float32)
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
    losses = DeviceArray(launcher.device, (bins.tiles,), np.float32)
    loss = DeviceArray(launcher.device, (), np.float64)
    scale = loss_scale(scene.size)
    prepared.run("compare", to_device(goal, launcher.device), scale, int(absolute), int(encoded), 0, None, sums, losses)
    launcher.launch("sum_losses", (1, 1, 1), (THREADS, 1, 1), losses.size, losses, scale, bins.status, loss)
    return _returned(loss, on_host), _gradients(prepared, sums, on_host)


def evaluate_candidates(scene: Scene[Any], goal: Any, candidates: Candidates[Any] | None) -> CandidateScores[Any]:
    """See `smalti.engine.raster.backends.Operations`."""
    scale = loss_scale(scene.size)
    if candidates is None:
        prepared = PreparedScene(scene)
        errors = _scores(prepared, goal, "removal", 1)[:, 0]
        coefficients: AnyArray = np.empty((0, COEFFICIENTS))
    else:
        device = current_launcher().device
        stack = merged_stack(_scene_on_host(scene, device), _candidates_on_host(candidates, device))
        prepared = PreparedScene(stack.scene)
        entries = copied(stack.entries, device)
        scores = _scores(prepared, goal, "candidates", 1 + COEFFICIENTS, entries)[stack.index]
        errors, coefficients = scores[: len(scene), 0], scores[len(scene) :, 1:]
    found = errors * scale, coefficients * scale
    if _is_on_host(scene):
        return CandidateScores(*found)
    return CandidateScores(*(copied(array, prepared.launcher.device) for array in found))


def memory_in_use(reset_peak: bool = False) -> MemoryInUse:
    """What arrays take. `reset_peak`: what they take now is the peak from here on."""
    device = current_launcher().device
    if reset_peak:
        device.reset_peak()
    return MemoryInUse(device.allocated, device.peak)


def upload(array: AnyArray) -> DeviceArray:
    """A copy of a NumPy array in the GPU's memory."""
    return copied(array, current_launcher().device)


def synchronize() -> None:
    """Wait for the GPU."""
    current_launcher().device.synchronize()


def _gradients(prepared: PreparedScene, partial_sums: DeviceArray, on_host: bool) -> Gradients[Any]:
    """The gradients of sprites from the partial sums of pairs, float64."""
    bins = prepared.bins
    shapes = (bins.count, 6), (bins.count,), (bins.count, 3)
    grads = [DeviceArray(prepared.launcher.device, shape, np.float64) for shape in shapes]
    prepared.reduce("reduce_gradients", bins.sprites, bins.pair_start, bins.status, partial_sums, *grads)
    return Gradients(*(_returned(grad, on_host) for grad in grads))


def _scores(prepared: PreparedScene, goal: Any, name: str, each: int, *arguments: Argument) -> AnyArray:
    """[N, each] float64: sums over all pixels, not divided, of a pass that finds `each` of them for every pair."""
    bins, device = prepared.bins, prepared.launcher.device
    sums = bins.partial_sums(each)
    scores = DeviceArray(device, (bins.count, each), np.float64)
    prepared.run(name, to_device(goal, device), *arguments, sums)
    prepared.reduce(f"reduce_{name}", bins.pair_start, bins.status, sums, scores)
    return scores.numpy()


def _is_on_host(scene: Scene[Any]) -> bool:
    return isinstance(scene.affine, np.ndarray)


def _returned(result: DeviceArray, on_host: bool) -> Any:
    """A result in NumPy where the scene was, otherwise it stays on the device."""
    return result.numpy() if on_host else result


def _scene_on_host(scene: Scene[Any], device: Device) -> Scene[Any]:
    affine, opacity, tint, template = (
        to_host(array, device) for array in (scene.affine, scene.opacity, scene.tint, scene.template)
    )
    return replace(scene, affine=affine, opacity=opacity, tint=tint, template=template)


def _candidates_on_host(candidates: Candidates[Any], device: Device) -> Candidates[Any]:
    names = ("affine", "template", "replaces", "position")
    return Candidates(*(to_host(getattr(candidates, name), device) for name in names))
