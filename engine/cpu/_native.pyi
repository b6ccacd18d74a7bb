# SPDX-License-Identifier: GPL-3.0-or-later
from typing import Any

from numpy import float32, float64, int32, uint64
from numpy.typing import NDArray

class Drawing:
    sprites: int

def instruction_set() -> str: ...
def forward(
    affine: NDArray[float64],
    opacity: NDArray[float64],
    tint: NDArray[float64],
    templates: NDArray[int32],
    alpha_quads: NDArray[uint64],
    texels: NDArray[uint64],
    first_level: NDArray[int32],
    levels: NDArray[int32],
    background: NDArray[float32] | None,
    image: NDArray[Any],
    mix: float,
    lod_bias: float,
    stop: float,
    threads: int,
) -> Drawing: ...
def backward(
    drawing: Drawing,
    grad_image: NDArray[Any],
    grad_affine: NDArray[float64],
    grad_opacity: NDArray[float64],
    grad_tint: NDArray[float64],
    threads: int,
) -> None: ...
