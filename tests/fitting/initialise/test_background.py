# SPDX-License-Identifier: GPL-3.0-or-later
"""The color of a background that a job leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.arrays import Float64Array
from smalti.engine.fitting.initialise.background import BackgroundSettings, background_color, hull_distance


def plain(*color: float) -> Float64Array:
    return np.broadcast_to(np.array([*color, 1.0]), (6, 6, 4))


@pytest.fixture
def ramp() -> Float64Array:
    """Grays from 0.2 to 0.8."""
    target = np.ones((20, 31, 4))
    target[..., :3] = np.linspace(0.2, 0.8, 31)[:, None]
    return target


def test_black_ink_wants_light_paper_and_white_ink_wants_dark(ramp: Float64Array) -> None:
    assert background_color(ramp, [plain(0, 0, 0)], 1.0).min() > 0.7
    assert background_color(ramp, [plain(1, 1, 1)], 1.0).max() < 0.3


def test_colors_that_reach_all_leave_the_background_at_the_mean(ramp: Float64Array) -> None:
    for bitmaps, mix in (([plain(0, 0, 0), plain(1, 1, 1)], 1.0), ([plain(1, 0, 0)], 0.0)):
        np.testing.assert_allclose(background_color(ramp, bitmaps, mix), 0.5, atol=0.03)


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_a_palette_wants_a_background_that_makes_up_for_it(ramp: Float64Array, mix: float) -> None:
    """Whatever the bitmaps' colors are: black tints darken, and white ones lighten."""
    dark, light = ([plain(each, each, each)] for each in (0.0, 1.0))
    assert background_color(ramp, dark, mix, np.zeros((1, 3))).min() > 0.7
    assert background_color(ramp, light, mix, np.ones((1, 3))).max() < 0.3
    both = background_color(ramp, [*dark, *light], mix, np.array([[0.0, 0, 0], [1, 1, 1]]))
    np.testing.assert_allclose(both, 0.5, atol=0.03)


def test_the_background_is_a_color_and_always_the_same(ramp: Float64Array) -> None:
    settings = BackgroundSettings(samples=200, hull_steps=20)
    bitmaps = [plain(0.9, 0.1, 0.3), plain(0, 0, 0.5)]
    one, other = (background_color(ramp, bitmaps, 0.8, settings=settings) for _ in range(2))
    assert np.array_equal(one, other)
    assert 0 <= one.min() <= one.max() <= 1


def test_the_distance_from_a_hull_is_that_of_geometry() -> None:
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
    assert hull_distance(np.array([[0.5, 0.4, 0.6]]), cube, 40) == pytest.approx(0, abs=1e-3)
    assert hull_distance(np.array([[0.5, 0.5, 1.5]]), cube, 40) == pytest.approx(0.25, rel=0.01)
    assert hull_distance(np.array([[2.0, 3.0, 0.5]]), cube, 40) == pytest.approx(5, rel=0.01)
