# SPDX-License-Identifier: GPL-3.0-or-later
"""Every term of a loss inside the CUDA kernels' steps, run on the host: as the CPU computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import optimisers
import pytest
from cuda_host import HostGpu
from optimisers import optimiser, settings, too_little_room

from smalti.engine import cuda
from smalti.engine.arrays import Float32Array
from smalti.engine.cuda import step_terms
from smalti.engine.fitting.objective.losses import Objective
from smalti.engine.fitting.optimiser import Optimiser
from smalti.engine.raster import StepLoss

pytestmark = pytest.mark.usefixtures("gpu")

TERMS = ("mse", "l1", "huber", "oklab", "alpha", "ssim", "ms_ssim", "edges")
ALL = dict.fromkeys(TERMS, 0.5) | {"ms_ssim": 1.5}


def pair(factors: dict[str, float], weighted: bool, background: bool, **changes: Any) -> tuple[Optimiser, Optimiser]:
    """The same problem on the CUDA kernels and on the CPU."""
    objective = Objective(tuple(factors.items()))
    chosen = [settings(back_end=name, objective=objective, **changes) for name in ("cuda", "cpu")]
    ours, cpu = (optimiser(background, each) for each in chosen)
    for fitting in (ours, cpu):
        if weighted:
            rng = np.random.default_rng(5)
            weights = rng.uniform(0.2, 2, fitting.objective.size).astype(np.float32)
            fitting.objective.weights = weights / weights.mean()
            fitting.objective.use_level(1)
    return ours, cpu


def check_steps(ours: Optimiser, cpu: Optimiser, steps: int = 2, close: float = 3e-2) -> None:
    """Steps from the same state come to the same, within rounding: mean and square of the gradient, and the moves."""
    for step in range(steps):
        cpu.restore(ours.state())
        ours.restore(ours.state())
        before = cpu.state()
        assert float(ours.step()) == pytest.approx(float(cpu.step()), rel=1e-5)
        found, true = ours.state(), cpu.state()
        for name in true:
            moved, off = (
                np.linalg.norm(np.subtract(true[name], other[name], dtype=float)) for other in (before, found)
            )
            limit = close if name.startswith("parameter.") else close / 10
            assert off <= limit * moved + 1e-6 * np.linalg.norm(true[name]), (step, name, off / moved)


@pytest.mark.parametrize(
    ("weighted", "background", "blend_space"),
    [(False, True, "srgb"), (True, False, "linear")],
    ids=["plain", "weighted, linear, on noise"],
)
@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_that_of_the_cpu(term: str, weighted: bool, background: bool, blend_space: str) -> None:
    check_steps(*pair({term: 1.0}, weighted, background, blend_space=blend_space))


@pytest.mark.parametrize(("mix", "shade"), [(0.0, 0.0), (0.4, 0.0), (0.0, 1.0), (0.4, 0.6)])
def test_a_sum_of_all_terms_is_that_of_the_cpu(mix: float, shade: float) -> None:
    check_steps(*pair(ALL, True, False, colour_mix=mix, shade=shade, blend_space="linear"))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (17, 33), (22, 44), (5, 70)], ids=str)
def test_terms_on_small_canvases(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, "SIZE", size)
    for factors in ({"ms_ssim": 1.0, "edges": 1.0}, {"ssim": 1.0}):
        check_steps(*pair(factors, size[0] % 2 == 1, True), steps=1)


@pytest.mark.slow
def test_terms_at_all_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, "SIZE", (200, 190))
    assert step_terms.scales_of((200, 190)) == 5
    check_steps(*pair({"ms_ssim": 1.0, "ssim": 0.2}, True, True), steps=1)


def test_terms_follow_the_pyramid() -> None:
    check_steps(*pair(ALL, True, False, pyramid=((0.02, 4), (0.03, 3))), steps=4)


def test_the_order_of_threads_changes_nothing(gpu: HostGpu) -> None:
    states = []
    for seed in range(3):
        gpu.order(seed)
        ours, _ = pair(ALL, True, False, colour_mix=0.3)
        ours.step()
        ours.step()
        states.append(ours.state())
    for other in states[1:]:
        assert all(np.array_equal(states[0][name], other[name]) for name in other)


def test_a_step_with_kernel_terms_is_one_graph(gpu: HostGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    ours, _ = pair(ALL, False, True)
    float(ours.step())
    before = len(gpu.launched)
    gpu.fail("cuLaunchKernel", 1)  # nothing is launched but the graph
    float(ours.step())
    made = gpu.launched[before:]
    assert made.count("step_terms_tint") == made.count("measure_ssim") == made.count("combine_scales") == 1
    assert made.count("halve_planes") == 2


def others(rendered: Float32Array, goal: Float32Array) -> tuple[float, Float32Array]:
    """The sum of fourth powers of the difference, and its gradient."""
    difference = rendered - goal
    return float((difference**4).sum()), 4e-3 * difference**3


def with_others(fitting: Optimiser, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fit's loss be mse, edges, and terms in Python."""
    monkeypatch.setattr(
        fitting.objective, "step_loss", lambda step: StepLoss({"mse": 1.0, "edges": 0.3}, None, None, given)
    )


def test_terms_in_python_have_their_say(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, cpu = (optimiser(True, settings(back_end=back_end)) for back_end in ("cuda", "cpu"))
    for fitting in (ours, cpu):
        with_others(fitting, others, monkeypatch)
    check_steps(ours, cpu, steps=3)


def test_terms_in_python_that_are_not_finite_are_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = optimiser(True, settings(back_end="cuda"))
    with_others(ours, lambda rendered, goal: (float("nan"), np.zeros_like(rendered)), monkeypatch)
    assert np.isnan(float(ours.step()))


def test_a_step_with_terms_in_python_without_room_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = optimiser(True, settings(back_end="cuda"))
    with_others(expected, others, monkeypatch)
    for _ in range(2):
        expected.step()
    made = too_little_room(monkeypatch, lambda call: call == 2)
    found = optimiser(True, settings(back_end="cuda"))
    with_others(found, others, monkeypatch)
    losses = [float(found.step()) for _ in range(2)]
    assert len(made) > 2
    assert losses[1] > 0
    true, state = expected.state(), found.state()
    assert all(np.array_equal(true[name], state[name]) for name in true)


def test_halved_planes_are_means() -> None:
    plane = np.arange(15, dtype=np.float32).reshape(3, 5)
    found = step_terms.halved(plane)
    assert found.tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]


def test_the_target_s_alpha_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, cpu = pair({"alpha": 1.0}, False, True)
    planes = [np.full(optimisers.SIZE, value, np.float32) for value in (0.2, 0.9)]
    for fitting in (ours, cpu):
        monkeypatch.setattr(
            fitting.objective, "step_loss", lambda step: StepLoss({"alpha": 1.0}, None, planes[step % 2])
        )
    check_steps(ours, cpu, steps=3)
