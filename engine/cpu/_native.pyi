# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Sequence
from typing import Any

from numpy import float32, float64, int32, uint64
from numpy.typing import NDArray

class Scene:
    sprites: int
    def __init__(
        self,
        affine: NDArray[float64] | None,
        opacity: NDArray[float64] | None,
        tint: NDArray[float64] | None,
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
class Workspace: ...

class AdamParameter:
    def __init__(
        self, value: NDArray[float64], mean: NDArray[float64], square: NDArray[float64], learning_rate: float
    ) -> None: ...

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
def loss_and_gradients(
    scene: Scene,
    goal: NDArray[Any],
    absolute: bool,
    encoded: bool,
    scale: float,
    grad_affine: NDArray[float64],
    grad_opacity: NDArray[float64],
    grad_tint: NDArray[float64],
    threads: int,
) -> float: ...
def evaluate_candidates(
    scene: Scene,
    goal: NDArray[Any],
    entries: NDArray[int32] | None,
    removal_errors: NDArray[float64],
    coefficients: NDArray[float64],
    threads: int,
) -> None: ...
def optimise(
    workspace: Workspace,
    scene: Scene,
    goal: NDArray[Any],
    encoded: bool,
    noise_key: int | None,
    scale: float,
    parameters: Sequence[AdamParameter],
    extent: NDArray[float64],
    adam: tuple[float, float, float, float],
    bounds: tuple[float, float, float, float, float, float],
    pixel: tuple[float, float],
    alpha_max: float,
    penalty_affine: NDArray[float64] | None,
    penalty_opacity: NDArray[float64] | None,
    threads: int,
) -> float: ...
