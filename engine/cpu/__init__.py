# SPDX-License-Identifier: GPL-3.0-or-later
"""The native CPU back end: C++17 over tiles of 16 x 16 pixels, threads, and vectors of pixels.

plan.cpp finds the tiles that each sprite touches, tiles.cpp draws a tile and differentiates it, composite.cpp puts both
together, and engine/kernels/sprite.h holds the mathematics of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..raster.atlas import Atlas
from . import _native as _native

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


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        affine: Tensor,
        opacity: Tensor,
        tint: Tensor,
        template: Tensor,
        atlas: Atlas,
        size: tuple[int, int],
        background: Tensor | None,
        mix: float,
        lod_bias: float,
        stop: float,
    ) -> Tensor:
        image = torch.empty(*size, 4, dtype=torch.float32)
        ctx.drawing = _native.forward(
            _array(affine),
            _array(opacity),
            _array(tint),
            template.detach().to(torch.int32).contiguous().numpy(),
            atlas.alpha_quads,
            atlas.words,
            atlas.first_level,
            atlas.levels,
            None if background is None else background.detach().to(torch.float32).contiguous().numpy(),
            image.numpy(),
            mix,
            lod_bias,
            stop,
            threads(),
        )
        ctx.types = affine.dtype, opacity.dtype, tint.dtype
        return image

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n = ctx.drawing.sprites
        by_affine, by_opacity, by_tint = np.empty((n, 6)), np.empty(n), np.empty((n, 3))
        _native.backward(
            ctx.drawing, grads[0].to(torch.float32).contiguous().numpy(), by_affine, by_opacity, by_tint, threads()
        )
        found = (torch.from_numpy(g).to(kind) for g, kind in zip((by_affine, by_opacity, by_tint), ctx.types))
        return (*found, *[None] * 7)


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Per-sprite numbers travel in double precision: N of them cost nothing, and positions keep their fractions."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float64)


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
    stop: float = 1e-4,
) -> Tensor:
    """See `smalti.engine.raster.composite`. The image is float32; on as many threads as torch uses."""
    image: Tensor = _Composite.apply(  # type: ignore[no-untyped-call]
        affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop
    )
    return image
