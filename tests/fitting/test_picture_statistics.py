# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.fitting.picture_statistics import box_mean


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_box_mean_is_the_mean_of_the_box_with_repeated_edges(radius: int, channels: tuple[int, ...]) -> None:
    plane = np.random.default_rng(0).uniform(0, 1, (9, 13, *channels))
    padded = np.pad(plane, [(radius, radius)] * 2 + [(0, 0)] * len(channels), mode="edge")
    window = 2 * radius + 1
    expected = [[padded[i : i + window, j : j + window].mean(axis=(0, 1)) for j in range(13)] for i in range(9)]
    np.testing.assert_allclose(box_mean(plane, radius), expected, atol=1e-12)
