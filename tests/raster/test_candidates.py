# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing a sprite or inserting a candidate changes the error by exactly what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenes import random_candidates, random_goal, random_scene
from smalti.engine.arrays import Float64Array
from smalti.engine.raster import (
    Candidates,
    StackPosition,
    evaluate_candidates,
    optimal_opacity_and_tint,
    removal_errors,
)

MIXES = (0.0, 0.5, 1.0)


@pytest.mark.parametrize(("mix", "shade"), [*((mix, 0.0) for mix in MIXES), (0.0, 1.0), (0.3, 0.6)])
def test_removal_error_is_what_the_loss_gains_without_the_sprite(mix: float, shade: float) -> None:
    scene = random_scene(41, n=12, size=(21, 35), mix=mix, half_size=(2, 20), shade=shade)
    goal = random_goal(21, 35)
    found, true = (removal_errors(scene, goal, back_end) for back_end in ("cpu", "reference"))
    assert (true < 0).any()
    assert (true > 0).any()
    assert abs(found - true).max() < 1e-5 * abs(true).max() + 1e-8


@pytest.mark.parametrize(
    ("mix", "shade", "background"),
    [(0.0, 0.0, True), (0.5, 0.0, True), (0.5, 0.0, False), (1.0, 0.0, False), (0.0, 1.0, True), (0.3, 0.6, False)],
)
def test_candidates_are_evaluated_as_if_each_was_drawn(mix: float, shade: float, background: bool) -> None:
    scene = random_scene(43, n=8, size=(21, 35), mix=mix, half_size=(2, 20), background=background, shade=shade)
    goal = random_goal(21, 35)
    candidates = random_candidates(44, scene, 10)  # the reference draws eleven pictures for each
    found, true = (evaluate_candidates(scene, goal, candidates, back_end) for back_end in ("cpu", "reference"))
    off = abs(found.removal_errors - true.removal_errors).max()
    assert off < 1e-5 * abs(true.removal_errors).max() + 1e-8
    for column, expected in zip(found.coefficients.T, true.coefficients.T):
        assert abs(column - expected).max() < 2e-5 * abs(expected).max() + 1e-8
    assert (true.coefficients[:, 0] > 0).any() == (mix < 1)


def test_the_optimal_opacity_and_tint_lower_the_error_most() -> None:
    scene = random_scene(45, n=20, size=(35, 50), mix=0.4, half_size=(2, 30))
    goal = random_goal(35, 50)
    for mix in MIXES:
        candidates = random_candidates(46, scene, 40)
        found = evaluate_candidates(replace(scene, mix=mix), goal, candidates, "cpu").coefficients
        opacity, tint, change = optimal_opacity_and_tint(found, 0.9)
        assert opacity.min() >= 0
        assert opacity.max() <= 0.9
        assert tint.min() >= 0
        assert tint.max() <= 1

        def error(o: Float64Array, t: Float64Array, coefficients: Float64Array = found) -> Float64Array:
            squares, cross, own, own_tint, match = np.split(coefficients, np.cumsum([1, 3, 1, 3]), axis=1)
            s = o[..., None] * t
            quadratic = squares[:, 0] * (s**2).sum(-1) + 2 * o * (cross * s).sum(-1) + own[:, 0] * o * o
            return np.asarray(quadratic - 2 * (own_tint * s).sum(-1) - 2 * match[:, 0] * o)

        np.testing.assert_allclose(error(opacity, tint), change, rtol=1e-6, atol=1e-12)
        rng = np.random.default_rng(2)
        others = error(0.9 * rng.uniform(size=(20_000, 40)), rng.uniform(size=(20_000, 40, 3))).min(axis=0)
        assert (change <= others + 1e-3 * abs(others).max()).all()


def test_a_candidate_that_cannot_be_is_refused() -> None:
    scene, goal = random_scene(47, n=3), np.zeros((37, 53, 4))
    one = {"affine": scene.affine[:1], "template": np.array([0])}
    for replaces, position, message in (
        (-1, StackPosition.IN_PLACE, "on top"),
        (-1, StackPosition.BOTTOM, "on top"),
        (3, StackPosition.IN_PLACE, "outside"),
        (-2, StackPosition.IN_PLACE, "outside"),
        (0, 0, "position"),
        (0, 4, "position"),
    ):
        candidate = Candidates(**one, replaces=np.array([replaces]), position=np.array([position]))
        with pytest.raises(ValueError, match=message):
            evaluate_candidates(scene, goal, candidate, "cpu")
