# SPDX-License-Identifier: GPL-3.0-or-later
"""The features of VGG16, and the distance between two pictures' ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from picture_pairs import alike, pixel_weights
from torch import Tensor
from vgg import random_weights

from smalti.engine.arrays import Float32Array
from smalti.engine.pytorch.vgg import FeatureDistance, Features


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_weights()


def pictures(seed: int = 1) -> tuple[Float32Array, Float32Array]:
    """[3, 20, 24] each."""
    rendered, goal = alike(20, 24, seed)
    return rendered.astype(np.float32), goal.astype(np.float32)


def test_features_are_those_of_the_layers_one_after_another(state: dict[str, Tensor]) -> None:
    colors = torch.from_numpy(alike(20, 24)[0])[None]
    x = (colors.float() - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    expected = []
    for layer in (0, 2, -1, 5, 7, -1, 10, 12, 14, -1, 17, 19, 21):
        if layer < 0:
            expected.append(x / x.norm(dim=1, keepdim=True))
            x = torch.nn.functional.max_pool2d(x, 2)
        else:
            weight, bias = state[f"features.{layer}.weight"], state[f"features.{layer}.bias"]
            x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
    expected.append(x / x.norm(dim=1, keepdim=True))
    features = Features(state)(colors)
    assert len(features) == len(expected) == 4
    for one, other in zip(features, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_weights_are_those_given_and_are_frozen(state: dict[str, Tensor]) -> None:
    features = Features(state)
    assert torch.equal(features.state_dict()["features.21.weight"], state["features.21.weight"])
    assert not any(weight.requires_grad for weight in features.parameters())


def test_features_of_a_goal_are_kept_only_for_that_goal(state: dict[str, Tensor]) -> None:
    distance = FeatureDistance(Features(state))
    one, other = pictures()
    first, gradient = distance(one, other, None)
    assert distance(one, other, None)[0] == first > 0
    assert distance(one, one, None)[0] == pytest.approx(0, abs=1e-9)
    again, same = distance(one, other, None)
    assert again == first
    np.testing.assert_array_equal(same, gradient)


def test_a_goal_that_changes_in_place_is_seen(state: dict[str, Tensor]) -> None:
    distance = FeatureDistance(Features(state))
    one, other = pictures()
    goal = other.copy()
    distance(one, goal, None)
    goal[:] = one
    assert distance(one, goal, None)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_finite_differences(state: dict[str, Tensor], weighted: bool) -> None:
    network = Features(state).double()
    rendered, goal = (torch.from_numpy(picture)[None] for picture in alike(20, 24))
    weights = torch.from_numpy(pixel_weights(20, 24))[None, None] if weighted else None

    def value(picture: Tensor) -> Tensor:
        return FeatureDistance.distance(network(picture), network(goal), weights)

    leaf = rendered.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    # Within a longer step some of the network's many rectifiers switch.
    step = 1e-8 * torch.from_numpy(np.random.default_rng(2).normal(0, 1, rendered.shape))
    expected = float(value(rendered + step) - value(rendered - step)) / 2
    assert float((gradient * step).sum()) == pytest.approx(expected, rel=1e-4)
    plane = None if weights is None else weights[0, 0].float().numpy()
    pair = (picture[0].float().numpy() for picture in (rendered, goal))
    single, slope = FeatureDistance(Features(state))(next(pair), next(pair), plane)
    assert single == pytest.approx(float(value(rendered)), rel=1e-4)
    np.testing.assert_allclose(slope, gradient[0].numpy(), rtol=2e-2, atol=1e-3 * float(gradient.abs().max()))


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (12, 25)], ids=str)
def test_features_work_on_any_canvas_and_for_black_and_white(
    state: dict[str, Tensor], size: tuple[int, int], level: float
) -> None:
    rendered, goal = (np.full((3, *size), number, np.float32) for number in (level, 0.5))
    value, gradient = FeatureDistance(Features(state))(rendered, goal, np.ones(size, np.float32))
    assert np.isfinite(value)
    assert gradient.shape == (3, *size)
    assert gradient.dtype == np.float32
    assert np.isfinite(gradient).all()
