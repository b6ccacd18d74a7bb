# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of the kernels is the reference's: the same gradients of every loss, the same Adam, the same bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimisers import SIZE, check_step, off, on_both, optimiser, settings
from pairwise import pairwise

from smalti.bridge.loss import parse_loss
from smalti.engine.fitting.objective.losses import Objective
from smalti.engine.fitting.parameters import NAMES
from smalti.engine.fitting.schedule import Schedule
from smalti.engine.raster.loss import KERNEL_TERMS
from smalti.engine.thread_count import on_threads

LOSSES = (*KERNEL_TERMS, "l1+0.5*ms_ssim+edges", "ssim+0.3*edges", "mse+oklab+huber+2*alpha", "+".join(KERNEL_TERMS))
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "none": {},
    "visible": {"min_visibility": 0.25},
    "visible+even": {"min_visibility": 0.25, "max_overlap": 0.8, "even_coverage": 0.5},
}


def objective_of(loss: str, weighted: bool) -> Objective:
    """With weights that differ from pixel to pixel, some of them 0, and more for detail."""
    map_of_weights = np.maximum(np.random.default_rng(0).uniform(-0.2, 1, SIZE), 0).astype(np.float32)
    return Objective(parse_loss(loss), None, map_of_weights if weighted else None, 0.3 if weighted else 0.0)


@pytest.mark.parametrize(
    ("loss", "weighted", "space", "background", "mix"),
    pairwise(list(LOSSES), [False, True], ["srgb", "linear"], [True, False], [0.0, 0.3, 1.0]),
)
def test_a_step_of_any_loss_is_the_references(
    loss: str, weighted: bool, space: str, background: bool, mix: float
) -> None:
    changes = {"objective": objective_of(loss, weighted), "blend_space": space, "colour_mix": mix}
    check_step(*on_both(background, {}, **changes))


@pytest.mark.parametrize(
    ("loss", "changes", "constraints", "background"),
    pairwise(
        ["l1+0.5*ssim", "edges+alpha"],
        [
            {"schedule": Schedule(lod_bias=1.0, in_pixels=True)},
            {"lock_rotation": True, "lock_scale": True},
            {"size_range": (12.0, 13.0)},
            {"pyramid": ((0.01, 4), (0.02, 3))},
            {"alpha_max": 1.0},
        ],
        list(CONSTRAINTS),
        [True, False],
    ),
    ids=str,
)
def test_steps_with_penalties_and_bounds_are_the_references(
    loss: str, changes: dict[str, Any], constraints: str, background: bool
) -> None:
    kernels, reference = on_both(background, CONSTRAINTS[constraints], objective=objective_of(loss, True), **changes)
    for _ in range(3):
        check_step(kernels, reference)


@pytest.mark.parametrize(
    ("loss", "constraints", "done", "frozen"),
    [
        ("ssim+edges", {"min_visibility": 0.25}, 95, {"x", "y", "log_scale", "theta", "opacity"}),
        ("l1", {"max_overlap": 0.8, "rotation_steps": 8}, 50, {"theta"}),
        ("mse", {"min_visibility": 0.25, "palette": ("#000000", "#ffffff")}, 97, set(NAMES)),
    ],
)
def test_frozen_parameters_stay_as_they_are_in_both(
    loss: str, constraints: dict[str, Any], done: int, frozen: set[str]
) -> None:
    """Bit for bit, also those that are out of bounds; the others take the reference's step."""
    kernels, reference = on_both(True, constraints, objective=objective_of(loss, True), size_range=(12.0, 13.0))
    for fitting in (kernels, reference):
        fitting.done = done
        fitting.step()  # colors and angles are in their places
    before = kernels.state()
    reference.restore(before)
    for fitting in (kernels, reference):
        fitting.restore(before)
        fitting.step()
        after = fitting.state()
        for name in NAMES:
            same = np.array_equal(before[f"parameter.{name}"], after[f"parameter.{name}"])
            assert same == (name in frozen), name
    for name in set(NAMES) - frozen:
        assert off(kernels.state()[f"adam.mean.{name}"], reference.state()[f"adam.mean.{name}"]) < 1e-5


@pytest.mark.parametrize("loss", ["mse", "l1+oklab+alpha", "ssim+edges", "ms_ssim+0.3*huber"])
@pytest.mark.parametrize("background", [True, False])
def test_the_number_of_threads_changes_no_bit_of_a_fit(loss: str, background: bool) -> None:
    results = []
    for threads in (1, 2, 3, 7):
        fitting = optimiser(background, settings(objective=objective_of(loss, True)), **CONSTRAINTS["visible+even"])
        with on_threads(threads):
            losses = [float(fitting.step()) for _ in range(4)]
        results.append((losses, fitting.state()))
    for losses, state in results[1:]:
        assert losses == results[0][0]
        for name, values in results[0][1].items():
            np.testing.assert_array_equal(state[name], values)
