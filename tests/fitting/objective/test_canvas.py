# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas at the levels of the pyramid."""

from __future__ import annotations

import numpy as np
import pytest
from optimisers import SIZE

from smalti.engine.fitting.objective.canvas import reduced_canvas


@pytest.mark.parametrize("reduction", [1, 2, 3, 8])
def test_a_smaller_canvas_holds_the_same_picture(reduction: int) -> None:
    """A ramp from edge to edge keeps its values where they are, but for the steps of its pixels."""
    ramp = np.ones((*SIZE, 4), np.float32)
    ramp[..., 0] = (np.arange(SIZE[1]) + 0.5) / SIZE[1]
    ramp[..., 1] = ((np.arange(SIZE[0]) + 0.5) / SIZE[0])[:, None]
    canvas = reduced_canvas(ramp, None, "srgb", reduction)
    height, width = canvas.size
    assert (height, width) == (-(-SIZE[0] // reduction), -(-SIZE[1] // reduction))
    assert canvas.pixel == pytest.approx((SIZE[1] / width, SIZE[0] / height))
    small = canvas.target
    np.testing.assert_allclose(small[0, :, 0], (np.arange(width) + 0.5) / width, atol=0.25 / SIZE[1])
    np.testing.assert_allclose(small[:, 0, 1], (np.arange(height) + 0.5) / height, atol=0.25 / SIZE[0])
