# SPDX-License-Identifier: GPL-3.0-or-later
"""The noise under a transparent target."""

from __future__ import annotations

import numpy as np

from smalti.engine.raster.noise import key_of, noise_picture


def test_the_noise_under_a_transparent_target_is_even_and_new_in_each_step() -> None:
    one, other = (noise_picture(key_of(3, step), (64, 80)) for step in (0, 1))
    assert (one[..., 3] == 1).all()
    values = one[..., :3]
    assert 0 <= values.min() < 0.001
    assert 0.999 < values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 8, (0, 1))[0] / values.size, 1 / 8, atol=0.01)
    assert abs(np.corrcoef(values.reshape(-1), other[..., :3].reshape(-1))[0, 1]) < 0.03
    assert abs(np.corrcoef(values[:-1].reshape(-1), values[1:].reshape(-1))[0, 1]) < 0.03
    np.testing.assert_array_equal(one, noise_picture(key_of(3, 0), (64, 80)))
