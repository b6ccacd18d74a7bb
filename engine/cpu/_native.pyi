# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Sequence
from typing import Any

from numpy import float32, float64, int32, int64, uint64
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
        luma: NDArray[float32],
        background: NDArray[float32] | None,
        height: int,
        width: int,
        mix: float,
        shade: float,
        lod_bias: float,
        stop: float,
        first_row: int = 0,
    ) -> None: ...

class Plan: ...
class Workspace: ...

class AdamParameter:
    def __init__(
        self, value: NDArray[float64], mean: NDArray[float64], square: NDArray[float64], learning_rate: float
    ) -> None: ...

def instruction_set() -> str: ...
def forward(scene: Scene, image: NDArray[Any], threads: int) -> Plan: ...
def pixel_weights(
    scene: Scene, least: float, threads: int
) -> tuple[NDArray[int64], NDArray[int32], NDArray[float32]]: ...
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

class StepSprites:
    def __init__(
        self,
        parameters: Sequence[AdamParameter],
        extent: NDArray[float64],
        pixel: tuple[float, float],
        alpha_max: float,
    ) -> None: ...

class StepGoal:
    def __init__(self, image: NDArray[Any], encoded: bool, noise_key: int | None) -> None: ...

class StepTerms:
    def __init__(
        self,
        pixel: tuple[float, ...],
        alpha: float,
        weights: NDArray[float32] | None,
        target_alpha: NDArray[float32] | None,
        gradient: NDArray[float32] | None,
    ) -> None: ...

class LossWorkspace: ...
class DoubleLossWorkspace: ...

def prepare(workspace: Workspace, scene: Scene, sprites: StepSprites, threads: int) -> None: ...
def show(
    workspace: Workspace,
    scene: Scene,
    goal: StepGoal,
    shown: NDArray[float32],
    expected: NDArray[float32],
    threads: int,
) -> None: ...
def optimise(
    workspace: Workspace,
    scene: Scene,
    sprites: StepSprites,
    goal: StepGoal,
    terms: StepTerms | None,
    scale: float,
    adam: tuple[float, float, float, float],
    bounds: tuple[float, float, float, float, float, float],
    scale_in_pixels: bool,
    penalty_affine: NDArray[float64] | None,
    penalty_opacity: NDArray[float64] | None,
    gates: NDArray[float64] | None,
    threads: int,
) -> float: ...
def picture_loss(
    workspace: LossWorkspace | DoubleLossWorkspace,
    rendered: NDArray[Any],
    goal: NDArray[Any],
    weights: NDArray[Any] | None,
    pixel: tuple[float, ...],
    neighbourhood: tuple[float, ...],
    gradient: NDArray[Any],
    threads: int,
) -> float: ...
