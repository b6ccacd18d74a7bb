# SPDX-License-Identifier: GPL-3.0-or-later
"""The native CPU back end: C++17 over tiles of 16 x 16 pixels, threads, and vectors of pixels.

plan.cpp finds the tiles that each sprite touches, tiles.cpp draws a tile and differentiates it, composite.cpp puts both
together, and engine/kernels/sprite.h holds the mathematics of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..raster.atlas import Atlas
from ..raster.scene import Scene, Step
from ..raster.trials import SUMS, Appraisal, Trials, listed
from . import _native as _native

STOP = 1e-4
"""Light below which a pixel is finished, see `smalti.engine.raster.composite`."""

_threads: int | None = None


def instruction_set() -> str:
    """Which build of the kernels runs here: ``"avx512"``, ``"avx2"`` or ``"baseline"``."""
    return str(_native.instruction_set())


def threads() -> int:
    """Number of threads that the kernels use: torch's setting, also inside `threads_to_kernels`."""
    return torch.get_num_threads() if _threads is None else _threads


@contextmanager
def threads_to_kernels() -> Iterator[None]:
    """Within, the kernels keep torch's number of threads, and torch's own operations run on one.

    Between two calls of the kernels torch has little to do, and its OpenMP threads, which spin while they wait, cost
    more than they give: on a machine that is busy otherwise, a step took five times as long.
    """
    global _threads
    before = torch.get_num_threads()
    outer, _threads = _threads, threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _threads = outer
        torch.set_num_threads(before)


@contextmanager
def threads_to_torch() -> Iterator[None]:
    """Within, torch's own operations have their threads back (see `threads_to_kernels`): for a network, they pay."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    """Per-sprite numbers travel in double precision: N of them cost nothing, and positions keep their fractions."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float64)


def _picture(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().to(torch.float32).contiguous().numpy()
    return array


def _native_scene(
    template: Tensor,
    atlas: Atlas,
    size: tuple[int, int],
    background: Tensor | None,
    mix: float,
    lod_bias: float,
    stop: float,
    sprites: tuple[Tensor, Tensor, Tensor] | None = None,
) -> _native.Scene:
    """`sprites`: affine, opacity and tint; None where they follow from parameters."""
    affine, opacity, tint = (None, None, None) if sprites is None else (_array(numbers) for numbers in sprites)
    return _native.Scene(
        affine,
        opacity,
        tint,
        template.detach().to(torch.int32).contiguous().numpy(),
        atlas.alpha_quads,
        atlas.words,
        atlas.first_level,
        atlas.levels,
        None if background is None else _picture(background),
        *size,
        mix,
        lod_bias,
        stop,
    )


def _with_sprites(scene: Scene) -> _native.Scene:
    sprites = scene.affine, scene.opacity, scene.tint
    return _native_scene(
        scene.template,
        scene.atlas,
        scene.size,
        scene.background,
        scene.mix,
        scene.lod_bias,
        scene.stop,
        sprites,
    )


class _Composite(torch.autograd.Function):
    """The sprites' tensors are arguments besides the scene that holds them, so that autograd sees them."""

    @staticmethod
    def forward(ctx: Any, affine: Tensor, opacity: Tensor, tint: Tensor, scene: Scene) -> Tensor:
        ctx.scene = _with_sprites(scene)
        ctx.types = affine.dtype, opacity.dtype, tint.dtype
        image = torch.empty(*scene.size, 4, dtype=torch.float32)
        ctx.plan = _native.forward(ctx.scene, image.numpy(), threads())
        return image

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n = ctx.scene.sprites
        found = np.empty((n, 6)), np.empty(n), np.empty((n, 3))
        _native.backward(ctx.scene, ctx.plan, _picture(grads[0]), *found, threads())
        return (*(torch.from_numpy(g).to(kind) for g, kind in zip(found, ctx.types)), None)


class _ImageLoss(torch.autograd.Function):
    """Its gradient is at hand as soon as its value is."""

    @staticmethod
    def forward(
        ctx: Any,
        affine: Tensor,
        opacity: Tensor,
        tint: Tensor,
        scene: Scene,
        goal: Tensor,
        absolute: bool,
        encoded: bool,
    ) -> Tensor:
        native = _with_sprites(scene)
        found = np.empty((native.sprites, 6)), np.empty(native.sprites), np.empty((native.sprites, 3))
        scale = 1 / goal.numel()
        total = _native.step(native, _picture(goal), absolute, encoded, scale, *found, threads())
        ctx.save_for_backward(*(torch.from_numpy(g).to(t.dtype) for g, t in zip(found, (affine, opacity, tint))))
        return torch.tensor(total * scale, dtype=torch.float64)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*((grads[0] * g).to(g.dtype) for g in ctx.saved_tensors), None, None, None, None)


def composite(scene: Scene) -> Tensor:
    """See `smalti.engine.raster.composite`. The image is float32; on as many threads as torch uses."""
    image: Tensor = _Composite.apply(scene.affine, scene.opacity, scene.tint, scene)  # type: ignore[no-untyped-call]
    return image


def image_loss(scene: Scene, goal: Tensor, absolute: bool, encoded: bool) -> Tensor:
    """See `smalti.engine.raster.image_loss`. One pass over the tiles samples every sprite once instead of twice."""
    loss: Tensor = _ImageLoss.apply(  # type: ignore[no-untyped-call]
        scene.affine, scene.opacity, scene.tint, scene, goal, absolute, encoded
    )
    return loss


class FusedStep:
    """See `smalti.engine.raster.FusedStep`. What it works in is kept from step to step."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._workspace = _native.Workspace()

    def bind(
        self,
        parameters: Mapping[str, Tensor],
        means: Mapping[str, Tensor],
        squares: Mapping[str, Tensor],
        template: Tensor,
        extent: Tensor,
    ) -> None:
        """See `smalti.engine.raster.FusedStep`. The tensors change in place."""
        self._values = {name: value.detach().numpy().reshape(-1) for name, value in parameters.items()}
        self._moments = {name: (means[name].numpy().reshape(-1), squares[name].numpy().reshape(-1)) for name in means}
        self._template, self._extent = template, _array(extent)

    def fetch(self) -> None:
        """Nothing to do: the tensors are those of the kernels."""

    def __call__(self, step: Step) -> float:
        """See `smalti.engine.raster.FusedStep`."""

        def moving(name: str) -> _native.Moving:
            value = self._values[name]
            if name not in self._moments:
                return _native.Moving(value, value, value, 0.0)
            return _native.Moving(value, *self._moments[name], step.rates[name])

        size = (step.goal.shape[0], step.goal.shape[1])
        scene = _native_scene(self._template, self._atlas, size, step.background, step.mix, step.lod_bias, STOP)
        # The mean over three of the four channels: over an opaque background alpha differs nowhere.
        scale = 1 / (3 * size[0] * size[1])
        total = _native.optimise(
            self._workspace,
            scene,
            _picture(step.goal),
            step.encoded,
            step.noise_key,
            scale,
            moving("x"),
            moving("y"),
            moving("log_scale"),
            moving("theta"),
            moving("opacity"),
            moving("tint"),
            self._extent,
            step.adam,
            step.bounds,
            step.pixel,
            step.alpha_max,
            threads(),
        )
        return total * scale


def removal_costs(scene: Scene, goal: Tensor) -> Tensor:
    """See `smalti.engine.raster.removal_costs`. About as much work as one `image_loss` with its gradient."""
    native = _with_sprites(scene)
    costs = np.empty(native.sprites)
    _native.appraise(native, _picture(goal), None, costs, np.empty((0, SUMS)), threads())
    return torch.from_numpy(costs) / goal.numel()


def appraise(scene: Scene, goal: Tensor, trials: Trials) -> Appraisal:
    """See `smalti.engine.raster.appraise`. A trial is about as much work as drawing a sprite."""
    both = listed(scene, trials)
    native = _with_sprites(both.scene)
    costs, sums = np.empty(native.sprites), np.empty((native.sprites, SUMS))
    _native.appraise(native, _picture(goal), both.roles.numpy(), costs, sums, threads())
    count = len(scene.affine)
    return Appraisal(
        torch.from_numpy(costs)[both.position[:count]] / goal.numel(),
        torch.from_numpy(sums)[both.position[count:]] / goal.numel(),
    )
