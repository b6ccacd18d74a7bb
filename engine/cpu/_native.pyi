# SPDX-License-Identifier: GPL-3.0-or-later
from typing import Any

from numpy import float32, float64, int32, uint64
from numpy.typing import NDArray

class Scene:
    sprites: int
    def __init__(
        self,
        affine: NDArray[float64],
        opacity: NDArray[float64],
        tint: NDArray[float64],
        templates: NDArray[int32],
        alpha_quads: NDArray[uint64],
        texels: NDArray[uint64],
        first_level: NDArray[int32],
        levels: NDArray[int32],
        background: NDArray[float32] | None,
        height: int,
        width: int,
        mix: float,
        lod_bias: float,
        stop: float,
    ) -> None: ...

class Plan: ...

def instruction_set() -> str: ...
def forward(scene: Scene, image: NDArray[Any], threads: int) -> Plan: ...
def backward(
    scene: Scene,
    plan: Plan,
    grad_image: NDArray[Any],
    grad_affine: NDArray[float64],
    grad_opacity: NDArray[float64],
    grad_tint: NDArray[float64],
    threads: int,
) -> None: ...
def step(
    scene: Scene,
    goal: NDArray[Any],
    absolute: bool,
    scale: float,
    grad_affine: NDArray[float64],
    grad_opacity: NDArray[float64],
    grad_tint: NDArray[float64],
    threads: int,
) -> float: ...
def removal_costs(scene: Scene, goal: NDArray[Any], costs: NDArray[float64], threads: int) -> None: ...
