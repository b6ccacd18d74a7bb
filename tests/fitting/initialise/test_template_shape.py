# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a template."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.fitting.initialise import measure_template


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, -0.7])
def test_the_axis_of_a_bar_is_its_direction(angle: float) -> None:
    y, x = np.mgrid[-30:31, -30:31]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bar = np.zeros((61, 61, 4))
    bar[(abs(along) < 25) & (abs(across) < 4)] = (0.5, 0.25, 0, 1)
    shape = measure_template(bar)
    assert np.sin(shape.axis - angle) == pytest.approx(0, abs=0.02)
    assert shape.elongation > 0.7
    assert shape.coverage == pytest.approx(bar[..., 3].mean())
    assert shape.color == pytest.approx((0.5, 0.25, 0))
