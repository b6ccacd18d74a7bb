# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB curve on tensors, with gradients."""

from __future__ import annotations

import numpy as np
import torch

from smalti.engine.colour import linear_from_srgb, srgb_from_linear, srgb_slope
from smalti.engine.pytorch.display import decoded, encoded, encoded_picture

LEVELS = np.concatenate([np.linspace(0, 0.01, 400), np.linspace(0, 1, 400)])


def test_the_differentiable_curves_equal_the_others() -> None:
    np.testing.assert_allclose(encoded(torch.from_numpy(LEVELS)).numpy(), srgb_from_linear(LEVELS), atol=1e-6)
    np.testing.assert_allclose(decoded(torch.from_numpy(LEVELS)).numpy(), linear_from_srgb(LEVELS), atol=1e-6)


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = torch.from_numpy(LEVELS)
    torch.testing.assert_close(encoded(decoded(levels)), levels, rtol=0, atol=1e-7)


def test_the_gradient_of_the_encoding_is_finite_at_black_and_right_everywhere() -> None:
    values = np.array([-0.1, 0.0, 1e-8, 0.001, 0.0032, 0.2, 1.0])
    linear = torch.from_numpy(values).requires_grad_()
    (gradient,) = torch.autograd.grad(encoded(linear).sum(), linear)
    above = values > 0.0031308
    expected = np.full(len(values), 12.92)
    expected[above] = 1.055 / 2.4 * values[above] ** (1 / 2.4 - 1)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(srgb_slope(values), gradient.numpy(), rtol=1e-6)


def test_alpha_is_not_encoded() -> None:
    picture = torch.rand(3, 5, 4, dtype=torch.float64)
    shown = encoded_picture(picture)
    assert torch.equal(shown[..., 3], picture[..., 3])
    assert torch.equal(shown[..., :3], encoded(picture[..., :3]))
