# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling places: the order in which they are taken."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.fitting.initialise.sampler import hilbert_order


@pytest.mark.parametrize("side", [2, 4, 16, 64])
def test_the_curve_of_a_square_goes_from_neighbour_to_neighbour(side: int) -> None:
    row, column = np.divmod(hilbert_order(side, side), side)
    np.testing.assert_array_equal(abs(np.diff(row)) + abs(np.diff(column)), 1)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (16, 16), (5, 64), (100, 33)])
def test_the_curve_visits_every_pixel_once(width: int, height: int) -> None:
    assert sorted(hilbert_order(width, height)) == list(range(width * height))
