# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimizer: steps are those of the reference, with penalties too, and the canvas may grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fits import PALETTE
from optimisers import check_step, off, on_both, optimiser, settings
from pairwise import pairwise

from smalti.engine.arrays import Float64Array
from smalti.engine.fitting.objective.canvas import reduced_canvas
from smalti.engine.fitting.parameters import NAMES
from smalti.engine.fitting.schedule import Schedule
from smalti.engine.raster import draw

STEPS = 3


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour_mix": 0.4},
        {"colour_mix": 1.0},
        {"blend_space": "linear"},
        {"blend_space": "linear", "colour_mix": 0.5, "alpha_max": 1.0},
        {"lock_rotation": True, "lock_scale": True},
        {"size_range": (12.0, 13.0)},
        {"pyramid": ((0.01, 4), (0.02, 3))},
    ],
    ids=str,
)
def test_steps_are_those_of_the_reference(background: bool, changes: dict[str, Any]) -> None:
    fittings = on_both(background, {}, **changes)
    for _ in range(STEPS):
        check_step(*fittings)


def gates_of(count: int) -> Float64Array:
    """Two of three shut, all of one half of the stack among them, and the others open to different widths."""
    gates = np.random.default_rng(6).uniform(0, 1, count)
    gates[np.arange(count) % 3 > 0] = 0
    gates[count // 2 :] = 0
    return gates


@pytest.mark.parametrize("changes", [{}, {"lock_scale": True, "colour_mix": 1.0}], ids=str)
def test_gated_steps_are_those_of_the_reference(changes: dict[str, Any]) -> None:
    fittings = on_both(True, {}, schedule=Schedule(lod_bias=0.0), **changes)
    gates = gates_of(len(fittings[0].parameters))
    before = fittings[0].state()
    for fitting in fittings:
        fitting.parameters.gate(gates)
    for _ in range(STEPS):
        check_step(*fittings)
    after = fittings[0].state()
    for name in after:
        if name.startswith(("parameter.", "adam.mean.", "adam.square.")):
            np.testing.assert_array_equal(after[name][gates == 0], before[name][gates == 0], name)
    assert (after["parameter.x"] != before["parameter.x"])[gates > 0].all()


def test_tiles_without_an_open_sprite_are_left_out_and_the_loss_is_the_same() -> None:
    gated, open_ = (optimiser(True, settings(schedule=Schedule(lod_bias=0.0))) for _ in range(2))
    x = gated.parameters.array("x")
    gates = np.where(x < 0.3 * gated.size[1], 1.0, 0.0)
    gated.parameters.gate(gates)
    for _ in range(4):
        open_.restore(gated.state())
        assert float(gated.step()) == pytest.approx(float(open_.step()), rel=1e-6)


CONSTRAINTS: dict[str, dict[str, Any]] = {
    "visible": {"min_visibility": 0.25},
    "even": {"max_overlap": 0.8, "even_coverage": 0.5},
    "visible+even": {"min_visibility": 0.25, "max_overlap": 0.8, "even_coverage": 0.5},
    "visible+palette": {"min_visibility": 0.25, "palette": PALETTE},
    "even+palette": {"max_overlap": 0.8, "palette": PALETTE},
    "even+rotation": {"even_coverage": 0.5, "rotation_steps": 8},
}


@pytest.mark.parametrize(
    ("constraints", "done", "background", "changes"),
    pairwise(
        list(CONSTRAINTS),
        [0, 21, 88],  # free, with a palette that holds, and up to where only tints change
        [True, False],
        [{}, {"blend_space": "linear", "colour_mix": 0.4}, {"lock_scale": True}, {"pyramid": ((0.02, 4), (0.22, 3))}],
    ),
    ids=str,
)
def test_steps_with_a_penalty_are_those_of_the_reference(
    constraints: str, done: int, background: bool, changes: dict[str, Any]
) -> None:
    fittings = on_both(background, CONSTRAINTS[constraints], **changes)
    fittings[0].done = done
    for _ in range(STEPS):
        check_step(*fittings)


@pytest.mark.parametrize("constraints", ["visible", "even", "visible+even"])
def test_penalties_are_those_that_the_reference_draws(constraints: str) -> None:
    gradients = []
    for back_end in ("cpu", "reference"):
        fitting = optimiser(True, settings(back_end=back_end), **CONSTRAINTS[constraints])
        assert fitting.constraints is not None
        cover = fitting.objective.canvas.target[..., 3]
        gradients.append(fitting.constraints.penalty_gradient(fitting.scene(), cover, None))
    for found, expected in zip(*gradients):
        # The picture whose alpha counts layers is so faint that single precision holds four digits of it.
        assert off(found, expected) < 2e-4


@pytest.mark.parametrize("constraints", ["visible", "even"])
def test_a_step_follows_the_gradient_of_a_penalty(constraints: str) -> None:
    constrained, free = optimiser(True, settings(), **CONSTRAINTS[constraints]), optimiser(True, settings())
    constrained.step()
    free.step()
    for name in ("x", "log_scale"):
        with_it, without = (fitting.state()[f"adam.mean.{name}"] for fitting in (constrained, free))
        assert np.linalg.norm(with_it - without) > 0.01 * np.linalg.norm(without)


@pytest.mark.parametrize(
    ("constraints", "done", "frozen"),
    [
        ("visible", 95, ("x", "y", "log_scale", "theta", "opacity")),
        ("even+palette", 21, ("tint",)),
        ("even+rotation", 0, ("theta",)),
        ("visible+palette", 97, NAMES),
    ],
)
def test_a_step_leaves_frozen_parameters_as_they_are(constraints: str, done: int, frozen: tuple[str, ...]) -> None:
    """Bit for bit, also those that are out of bounds."""
    fitting = optimiser(True, settings(size_range=(12.0, 13.0)), **CONSTRAINTS[constraints])
    fitting.done = done
    fitting.step()  # colors and angles are in their places
    before = fitting.state()
    fitting.step()
    after = fitting.state()
    for name in NAMES:
        same = np.array_equal(before[f"parameter.{name}"], after[f"parameter.{name}"])
        assert same == (name in frozen), name
    size = 2 * np.exp(after["parameter.log_scale"])
    assert ((size < 11.9) | (size > 13.1)).any() == ("log_scale" in frozen)


def test_steps_keep_the_least_opacity() -> None:
    fitting = optimiser(True, settings(), **CONSTRAINTS["visible"])
    assert fitting.constraints is not None
    least = fitting.constraints.min_opacity
    assert least > 0.25
    assert fitting.sprites().opacity.min() < least
    lowest = []
    for _ in range(5):
        fitting.step()
        lowest.append(fitting.sprites().opacity.min())
    assert lowest[0] == pytest.approx(least)  # some would be fainter
    assert min(lowest) > 0.999 * least


def test_a_growing_canvas_leaves_the_sprites_where_they_are() -> None:
    """What is drawn on the small canvas is the picture of the large one, averaged over each pixel."""
    large = optimiser(True, settings())
    small = optimiser(True, settings(pyramid=((1.0, 4),)))
    small.objective.use_level(4)
    pictures = []
    for fitting in (large, small):
        background, _ = fitting.objective.background_and_goal(0)
        pictures.append(draw(replace(fitting.scene(), background=background), "cpu"))
    rows, columns = pictures[1].shape[:2]
    expected = reduced_canvas(pictures[0], None, "srgb", 4).target
    assert expected.shape == (rows, columns, 4)
    assert abs(pictures[1] - expected).mean() < 0.02
    blank = np.full_like(expected, expected.mean())
    assert abs(pictures[1] - expected).mean() < 0.2 * abs(blank - expected).mean()
