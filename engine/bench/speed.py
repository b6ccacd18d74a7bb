# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing one case: forward and backward pass alone, and a whole step of the optimizer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..fitting.objective import ImageObjective
from ..fitting.optimiser import Optimiser, OptimiserSettings
from ..fitting.schedule import Schedule
from ..raster import Drawing, Gradients, Scene, build_atlas, drawing
from ..raster.backends import gpu_operations
from ..thread_count import on_threads
from .scene import TEXELS, Case, covered_pairs, discs, random_sprites

T = TypeVar("T")

SECONDS = 1.2
"""About how long the runs of one case are repeated."""
FEWEST, MOST = 3, 100
"""Repetitions, whatever the time."""


@dataclass(frozen=True)
class Times:
    """Medians in milliseconds, and how many pixel-sprite pairs there were."""

    forward_ms: float
    backward_ms: float
    step_ms: float
    covered_pairs: int

    @property
    def both_ms(self) -> float:
        """Forward and backward pass together."""
        return self.forward_ms + self.backward_ms


class Passes:
    """A forward and a backward pass over a case, with everything that they take prepared.

    The gradient of the picture is random, and the background opaque.

    Attributes:
        affine: [N, 6] maps from canvas pixels to template coordinates.
        output_bytes: size of what the two passes return: the picture and the gradients.
    """

    def __init__(self, case: Case) -> None:
        sprites = random_sprites(case)
        self.affine = sprites.affine(np.full((len(discs()), 2), float(TEXELS)))
        shape = case.size, case.size, 4
        scene: Scene[Any] = Scene(
            self.affine,
            sprites.opacity,
            sprites.tint,
            sprites.template,
            build_atlas(discs()),
            (case.size, case.size),
            np.ones(shape, np.float32),
            case.mix,
        )
        gradient = np.random.default_rng(0).random(shape, np.float32) - np.float32(0.5)
        self.output_bytes = gradient.nbytes + self.affine.nbytes + sprites.opacity.nbytes + sprites.tint.nbytes
        self._case, self._gradient = case, _on_device(case, gradient)
        names = ("affine", "opacity", "tint", "template", "background")
        self._scene = replace(scene, **{name: _on_device(case, getattr(scene, name)) for name in names})

    def forward(self) -> Drawing[Any]:
        """The picture, finished."""
        drawn = drawing(self._scene, self._case.backend)
        _wait_for(self._case)
        return drawn

    def backward(self, drawn: Drawing[Any]) -> Gradients[Any]:
        """The gradients of affine maps, opacities and tints, finished."""
        gradients = drawn.gradients(self._gradient)
        _wait_for(self._case)
        return gradients


def _on_device(case: Case, array: Any) -> Any:
    """An array where the back end computes."""
    return gpu_operations(case.backend).upload(array) if case.is_gpu else array


def _wait_for(case: Case) -> None:
    if case.is_gpu:
        gpu_operations(case.backend).synchronize()


def optimiser_for(case: Case) -> Optimiser:
    """An optimizer of the case's sprites, with learning rates so small that they stay where they are."""
    settings = OptimiserSettings(
        steps=1_000_000,
        learning_rate_factor=1e-3,
        schedule=Schedule(lod_bias=0.0),
        colour_mix=case.mix,
        blend_space="srgb",
        alpha_max=1.0,
        lock_rotation=False,
        lock_scale=False,
        size_range=(1e-3, 1e6),
        back_end=case.backend,
    )
    target = np.ones((case.size, case.size, 4), np.float32)
    target[..., :3] = np.random.default_rng(0).random((case.size, case.size, 3), np.float32)
    templates = discs()
    shapes = np.full((len(templates), 2), float(TEXELS))
    objective = ImageObjective(target, np.ones_like(target), settings.blend_space, settings.objective, seed=0)
    return Optimiser(objective, build_atlas(templates), shapes, random_sprites(case), settings)


def time_case(case: Case, seconds: float = SECONDS) -> Times:
    """Repeat the passes and the step for about `seconds`, at least a few times each."""
    with on_threads(case.threads):
        forward, backward, pairs = _time_passes(case, 0.6 * seconds)
        return Times(forward, backward, _time_step(case, 0.4 * seconds), pairs)


def _time_passes(case: Case, seconds: float) -> tuple[float, float, int]:
    """Milliseconds of forward and backward pass, and the covered pairs."""
    passes = Passes(case)

    def both() -> tuple[float, float]:
        began = time.perf_counter()
        image = passes.forward()
        drawn = time.perf_counter()
        passes.backward(image)
        return drawn - began, time.perf_counter() - drawn

    times = _repeated(both, seconds)
    forward, backward = (1000 * statistics.median(pair[i] for pair in times) for i in (0, 1))
    return forward, backward, covered_pairs(passes.affine, case.size, case.size)


def _time_step(case: Case, seconds: float) -> float:
    """Milliseconds of a step."""
    optimiser = optimiser_for(case)
    # A GPU is waited for once in many steps, as in a fit.
    together = 50 if case.is_gpu else 1

    def step() -> float:
        began = time.perf_counter()
        for _ in range(together):
            loss = optimiser.step()
        float(loss)
        return (time.perf_counter() - began) / together

    return 1000 * statistics.median(_repeated(step, seconds))


def _repeated(run: Callable[[], T], seconds: float) -> list[T]:
    """Results of many runs; the first one, which fills caches and starts threads, does not count."""
    run()
    results: list[T] = []
    end = time.perf_counter() + seconds
    while len(results) < FEWEST or (len(results) < MOST and time.perf_counter() < end):
        results.append(run())
    return results
