# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation steps: every angle is a multiple of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fits import quick
from jobs import film

from smalti.engine.templates import Template


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 360])
@pytest.mark.parametrize("fit_steps", [1, 40])
def test_angles_are_steps_of_a_turn(ramp_file: Path, templates: list[Template], steps: int, fit_steps: int) -> None:
    composition = quick(ramp_file, templates, rotation_steps=steps, steps=fit_steps)
    turn = 2 * np.pi / steps
    number = np.rint(composition.theta.astype(np.float64) / turn)
    np.testing.assert_array_equal(composition.theta, (number * turn).astype(np.float32))
    assert len(np.unique(number)) > 1 or steps == 1
    assert steps != 1 or not composition.theta.any()


def test_the_angles_of_a_film_stay(tmp_path: Path, templates: list[Template]) -> None:
    composition = quick(film(tmp_path / "film"), templates, rotation_steps=8, frame_steps=8)
    assert (composition.theta == composition.theta[0]).all()
