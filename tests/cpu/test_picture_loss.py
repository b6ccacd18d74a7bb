# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels' terms between two pictures: value and gradient are those of torch's oracle, on any canvas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from picture_pairs import Pair, alike, nearly_flat, off_the_kinks, pixel_weights

from scenes import relative
from smalti.engine.arrays import Float64Array, FloatArray
from smalti.engine.cpu.fused_step import picture_loss
from smalti.engine.pytorch.losses import Comparison, sum_of_terms
from smalti.engine.raster.loss import NEIGHBOURHOOD_TERMS, PIXEL_TERMS
from smalti.engine.thread_count import on_threads

TERMS = (*PIXEL_TERMS, *NEIGHBOURHOOD_TERMS)
LOSSES: dict[str, dict[str, float]] = {term: {term: 1.3} for term in TERMS} | {
    "all": {term: 0.2 + 0.3 * place for place, term in enumerate(TERMS)}
}
SIZES = [(1, 1), (1, 7), (3, 2), (12, 25), (61, 83), (200, 190)]
NOTHING = 1e-14
"""A gradient whose every number is rounding."""


def by_torch(
    rendered: FloatArray, goal: FloatArray, weights: FloatArray | None, factors: Mapping[str, float]
) -> tuple[float, Float64Array]:
    """What `picture_loss` should return, in double precision."""
    leaf = torch.from_numpy(rendered.astype(np.float64))[None].requires_grad_()
    plane = None if weights is None else torch.from_numpy(weights.astype(np.float64))[None, None]
    loss = sum_of_terms(factors, Comparison(leaf, torch.from_numpy(goal.astype(np.float64))[None], plane))
    (gradient,) = torch.autograd.grad(loss, leaf)
    return float(loss.detach()), gradient[0].numpy()


def along(
    pair: Pair, weights: Float64Array | None, factors: Mapping[str, float], direction: Float64Array, step: float
) -> float:
    """The slope of the loss along a direction, by central differences."""
    rendered, goal = pair
    above, below = (picture_loss(rendered + sign * step * direction, goal, weights, factors)[0] for sign in (1, -1))
    return (above - below) / (2 * step)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_are_torchs_in_double_precision(loss: str, size: tuple[int, int], weighted: bool) -> None:
    weights = pixel_weights(*size) if weighted else None
    for pair in (alike(*size), nearly_flat(*size)):
        value, gradient = picture_loss(*pair, weights, LOSSES[loss])
        expected, true = by_torch(*pair, weights, LOSSES[loss])
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-12)
        assert gradient.dtype == np.float64
        assert np.linalg.norm(gradient - true) <= 1e-10 * np.linalg.norm(true) + NOTHING


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_central_differences(loss: str, size: tuple[int, int], weighted: bool) -> None:
    pair, factors = off_the_kinks(*size), LOSSES[loss]
    weights = pixel_weights(*size) if weighted else None
    _, gradient = picture_loss(*pair, weights, factors)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(0, 1, gradient.shape)
        # Two steps, from which the part of the error that grows with a step's square is taken out.
        slope = partial(along, pair, weights, factors, direction)
        expected = (4 * slope(1e-5) - slope(2e-5)) / 3
        # A direction may happen to be nearly across the gradient.
        length = float(np.linalg.norm(gradient))
        assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-7 * length + 1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES[1:], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_single_precision_is_close_on_nearly_flat_areas_too(loss: str, size: tuple[int, int], weighted: bool) -> None:
    weights = pixel_weights(*size).astype(np.float32) if weighted else None
    # Where the pictures differ by one level, single precision holds four digits of what Oklab and SSIM make of it.
    for make, close in ((alike, 1e-5), (nearly_flat, 1e-4)):
        rendered, goal = (picture.astype(np.float32) for picture in make(*size))
        value, gradient = picture_loss(rendered, goal, weights, LOSSES[loss])
        expected, true = by_torch(rendered, goal, weights, LOSSES[loss])
        assert gradient.dtype == np.float32
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-4)
        assert relative(gradient, true) < close, make


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_single_precision_makes_hardly_any_gradient_of_rounding_on_flat_areas(loss: str, size: tuple[int, int]) -> None:
    usual = np.linalg.norm(picture_loss(*alike(*size), None, LOSSES[loss])[1])
    for shown, expected in ((0.2, 0.8), (0.7, 0.7 + 1 / 255), (1, 1), (0, 0.5)):
        rendered, goal = (np.full((3, *size), level, np.float32) for level in (shown, expected))
        _, gradient = picture_loss(rendered, goal, None, LOSSES[loss])
        _, true = by_torch(rendered, goal, None, LOSSES[loss])
        # Of a single pixel, the variance is nothing but rounding.
        assert np.linalg.norm(gradient - true) <= (3e-4 if size != (1, 1) else 3e-3) * usual


@pytest.mark.parametrize("term", TERMS)
def test_a_picture_has_no_distance_from_itself_and_some_from_others(term: str) -> None:
    rendered, goal = alike()
    assert picture_loss(goal, goal, None, {term: 1.0})[0] == pytest.approx(0, abs=1e-12)
    assert picture_loss(rendered, goal, None, {term: 1.0})[0] > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", TERMS)
def test_black_and_white_have_a_finite_gradient_on_any_canvas(term: str, dtype: Any) -> None:
    for size in ((1, 1), (1, 7), (3, 2), (12, 25), (40, 40)):
        for shown, expected in ((0, 0.5), (1, 0.5), (0, 1), (1, 0), (0, 0), (1, 1)):
            rendered, goal = (np.full((3, *size), level, dtype) for level in (shown, expected))
            value, gradient = picture_loss(rendered, goal, np.ones(size, dtype), {term: 1.0})
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("term", TERMS)
def test_pixels_without_weight_get_no_gradient_and_only_proportions_matter(term: str) -> None:
    rendered, goal = (picture.astype(np.float32) for picture in alike(64, 96))
    weights = np.zeros((64, 96), np.float32)
    weights[:, 72:] = 3
    value, gradient = picture_loss(rendered, goal, weights, {term: 1.0})
    size = abs(gradient).sum(axis=(0, 1))
    # The windows of the coarsest scale reach across the border.
    assert size[:24].sum() == 0 or term == "ms_ssim"
    assert size[:24].sum() < 1e-3 * size[72:].sum()
    assert picture_loss(rendered, goal, weights / 7, {term: 1.0})[0] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(dtype: Any) -> None:
    rendered, goal, weights = (np.asarray(a, dtype) for a in (*alike(201, 187), pixel_weights(201, 187)))
    results = []
    for threads in (1, 2, 3, 7):
        with on_threads(threads):
            results.append(picture_loss(rendered, goal, weights, LOSSES["all"]))
    for value, gradient in results[1:]:
        assert value == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1])


def test_inputs_stay_as_they_are() -> None:
    rendered, goal = alike()
    weights = pixel_weights(29, 34)
    before = [array.copy() for array in (rendered, goal, weights)]
    picture_loss(rendered, goal, weights, LOSSES["all"])
    for array, copy in zip((rendered, goal, weights), before):
        np.testing.assert_array_equal(array, copy)
