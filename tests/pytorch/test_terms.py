# SPDX-License-Identifier: GPL-3.0-or-later
"""The terms in torch: values, gradients, and what others publish of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from picture_pairs import alike
from torch import Tensor

from smalti.engine.pytorch.losses import (
    BETAS,
    C1,
    C2,
    HUBER_DELTA,
    TERMS,
    TOE,
    Comparison,
    edges,
    ms_ssim,
    oklab_of,
    planes_of,
    scales_of,
    similarity,
    ssim,
    sum_of_terms,
)
from smalti.engine.raster.loss import KERNEL_TERMS

Planes = NDArray[np.float64]


def compared(height: int = 29, width: int = 34) -> Comparison:
    """A rendered picture and its goal, somewhat alike, with opacities."""
    rendered, goal = (torch.from_numpy(picture)[None] for picture in alike(height, width))
    opacity, goal_opacity = torch.from_numpy(np.random.default_rng(3).uniform(0, 1, (2, 1, 1, height, width)))
    return Comparison(rendered, goal, None, opacity, goal_opacity)


def value_of(factors: Mapping[str, float], pictures: Comparison) -> float:
    return float(sum_of_terms(factors, pictures).detach())


def test_the_terms_are_those_of_the_kernels() -> None:
    assert set(TERMS) == set(KERNEL_TERMS)


def test_planes_are_the_colors_of_a_picture() -> None:
    picture = torch.rand(3, 5, 4)
    planes = planes_of(picture)
    assert planes.shape == (1, 3, 3, 5)
    assert torch.equal(planes[0, 1], picture[..., 1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_is_that_of_finite_differences(term: str, weighted: bool) -> None:
    pictures, rng = compared(), np.random.default_rng(2)
    if weighted:
        pictures = replace(pictures, weights=torch.from_numpy(rng.uniform(0, 2, (1, 1, 29, 34))))
    name = "opacity" if term == "alpha" else "rendered"
    values: Tensor = getattr(pictures, name)
    leaf = values.clone().requires_grad_()
    loss = TERMS[term](replace(pictures, **{name: leaf}))
    (gradient,) = torch.autograd.grad(loss, leaf)
    step = 1e-6 * torch.from_numpy(rng.normal(0, 1, values.shape))
    above, below = (float(TERMS[term](replace(pictures, **{name: values + sign * step}))) for sign in (1, -1))
    assert float((gradient * step).sum()) == pytest.approx((above - below) / 2, rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_a_picture_has_no_distance_from_itself_and_some_from_others(term: str) -> None:
    pictures = compared()
    same = replace(pictures, rendered=pictures.goal, opacity=pictures.goal_opacity)
    assert float(TERMS[term](same)) == pytest.approx(0, abs=1e-9)
    assert float(TERMS[term](pictures)) > 1e-3


@pytest.mark.parametrize("term", TERMS)
def test_every_term_works_on_any_canvas_and_for_black_and_white(term: str) -> None:
    for size in ((1, 1), (1, 7), (3, 2), (12, 25)):
        for level in (0.0, 1.0):
            rendered = torch.full((1, 3, *size), level).requires_grad_()
            goal, ones = torch.full((1, 3, *size), 0.5), torch.ones(1, 1, *size)
            value = TERMS[term](Comparison(rendered, goal, ones, rendered[:, 1:2], goal[:, 1:2]))
            (gradient,) = torch.autograd.grad(value, rendered)
            assert gradient.isfinite().all()
            assert value.isfinite()


@pytest.mark.parametrize("term", TERMS)
def test_pixels_without_weight_get_no_gradient(term: str) -> None:
    pictures = compared(64, 96)
    rendered = pictures.rendered.clone().requires_grad_()
    weights = torch.zeros(1, 1, 64, 96, dtype=torch.float64)
    weights[..., 72:] = 3
    pictures = replace(pictures, rendered=rendered, opacity=rendered[:, 1:2], weights=weights)
    value = TERMS[term](pictures)
    gradient = torch.autograd.grad(value, rendered)[0].abs().sum(dim=(0, 1, 2))
    # The windows of the coarsest scale reach across the border.
    assert gradient[:24].sum() == 0 or term == "ms_ssim"
    assert gradient[:24].sum() < 1e-3 * gradient[72:].sum()
    # Only proportions matter.
    assert float(value.detach()) == pytest.approx(float(TERMS[term](replace(pictures, weights=weights / 7)).detach()))


def test_a_sum_is_the_sum_of_its_terms() -> None:
    factors = {"mse": 1.0, "ssim": 0.3, "edges": 2.0}
    parts = [value_of({name: factor}, compared()) for name, factor in factors.items()]
    assert value_of(factors, compared()) == pytest.approx(sum(parts))


def test_the_simple_terms_are_their_formulas() -> None:
    rendered, goal = alike()
    error = rendered - goal
    large = abs(error) > HUBER_DELTA
    assert large.any()
    assert not large.all()
    expected = {
        "mse": (error**2).mean(),
        "l1": abs(error).mean(),
        "huber": np.where(large, HUBER_DELTA * (2 * abs(error) - HUBER_DELTA), error**2).mean(),
    }
    for term, value in expected.items():
        assert value_of({term: 2}, compared()) == pytest.approx(2 * value)


def blurred(plane: Planes) -> Planes:
    """SSIM's window, one of its pixels after the other; edges repeat."""
    offset = np.arange(-5, 6)
    window = np.exp(-(offset**2) / (2 * 1.5**2))
    window /= window.sum()
    padded = np.pad(plane, [(5, 5), (5, 5), (0, 0)], mode="edge")
    height, width = plane.shape[:2]
    shifted = [window[i] * window[j] * padded[i : i + height, j : j + width] for i in range(11) for j in range(11)]
    result: Planes = np.sum(shifted, axis=0)
    return result


def expected_similarity(x: Planes, y: Planes) -> tuple[Planes, Planes]:
    """SSIM's two factors, by the formula of Wang et al. (2004)."""
    m, n = blurred(x), blurred(y)
    xx, yy, xy = blurred(x * x) - m * m, blurred(y * y) - n * n, blurred(x * y) - m * n
    return (2 * m * n + C1) / (m * m + n * n + C1), (2 * xy + C2) / (xx + yy + C2)


def test_ssim_is_its_formula() -> None:
    luminance, structure = expected_similarity(*(picture.transpose(1, 2, 0) for picture in alike()))
    assert float(ssim(compared())) == pytest.approx(1 - (luminance * structure).mean())


def test_ssim_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    pictures = compared()
    _, expected = metrics.structural_similarity(
        *alike(), data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )  # fmt: skip
    luminance, structure = similarity(pictures.rendered, pictures.goal)
    ours = (luminance * structure)[0].numpy()
    # At the border it mirrors the picture, where ours repeats the edge.
    np.testing.assert_allclose(ours[:, 5:-5, 5:-5], expected[:, 5:-5, 5:-5], atol=1e-6)


def test_ms_ssim_is_its_formula() -> None:
    x, y = (picture.transpose(1, 2, 0) for picture in alike(48, 56))
    betas = np.array(BETAS[:3]) / sum(BETAS[:3])
    expected = 1.0
    for scale, beta in enumerate(betas):
        luminance, structure = expected_similarity(x, y)
        expected *= ((luminance * structure if scale == 2 else structure).mean()) ** beta
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    assert scales_of((48, 56)) == 3
    assert float(ms_ssim(compared(48, 56))) == pytest.approx(1 - expected)


@pytest.mark.slow
def test_ms_ssim_is_nearly_that_of_torchmetrics() -> None:
    """Which leaves the border out, where ours repeats the edge."""
    image = pytest.importorskip("torchmetrics.functional.image")
    rng = np.random.default_rng(5)
    coarse = torch.from_numpy(rng.uniform(0, 1, (1, 3, 24, 26)))
    goal = torch.nn.functional.interpolate(coarse, scale_factor=9, mode="bilinear")
    rendered = (goal + torch.from_numpy(rng.normal(0, 0.1, goal.shape))).clamp(0, 1)
    expected = image.multiscale_structural_similarity_index_measure(rendered, goal, data_range=1.0)
    assert 0.5 < expected < 0.98
    assert 1 - float(ms_ssim(Comparison(rendered, goal))) == pytest.approx(float(expected), abs=0.01)


@pytest.mark.parametrize(
    ("size", "scales"), [((5, 500), 1), ((21, 30), 1), ((22, 30), 2), ((175, 900), 4), ((176, 176), 5)]
)
def test_ms_ssim_has_as_many_scales_as_its_window_fits(size: tuple[int, int], scales: int) -> None:
    assert scales_of(size) == scales


def test_ms_ssim_of_opposites_is_finite_and_large() -> None:
    goal = compared(40, 40).goal
    rendered = (1 - goal).requires_grad_()
    value = ms_ssim(Comparison(rendered, goal))
    assert 0.9 < float(value.detach()) < 1
    assert torch.autograd.grad(value, rendered)[0].isfinite().all()


def test_edges_compares_gradients_and_not_levels() -> None:
    flat, slope = torch.zeros(1, 3, 40, 60, dtype=torch.float64), 0.01
    # 0 but for the rounding of a convolution.
    assert float(edges(Comparison(flat + 0.7, flat))) == pytest.approx(0, abs=1e-30)
    rising = flat + slope * torch.arange(60)
    inside = torch.zeros(1, 1, 40, 60, dtype=torch.float64)
    inside[..., 8:-8] = 1  # outside, the repeated edge has another gradient
    # At half the size it is twice as steep; the mean is over both directions.
    expected = (slope**2 + (2 * slope) ** 2) / 2
    assert float(edges(Comparison(rising, flat, inside))) == pytest.approx(expected)
    assert float(edges(Comparison(rising.mT, flat.mT, inside.mT))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.62796, 0.22486, 0.12585)),
        ((0.0, 1.0, 0.0), (0.86644, -0.23389, 0.17950)),
        ((0.0, 0.0, 1.0), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_has_its_published_values(color: tuple[float, ...], expected: tuple[float, ...]) -> None:
    lab = oklab_of(torch.tensor(color, dtype=torch.float64).reshape(1, 3, 1, 1))
    np.testing.assert_allclose(lab.reshape(3).numpy(), expected, atol=2e-4)


def test_oklab_is_smooth_where_the_tangent_begins() -> None:
    """Value and slope of the cube root and of its tangent meet."""
    edge = 12.92 * TOE  # a gray whose cones are at `TOE`: there the display's curve is a straight line
    gray = torch.tensor([edge - 1e-6, edge + 1e-6], dtype=torch.float64).repeat(1, 3, 1, 1).requires_grad_()
    lightness = oklab_of(gray)[:, 0]
    lightness.sum().backward()
    below, above = lightness.flatten().tolist()
    assert below == pytest.approx(above, abs=1e-4)
    assert gray.grad is not None
    slopes = gray.grad.sum(dim=1).flatten()
    assert float(slopes[0]) == pytest.approx(float(slopes[1]), rel=1e-3)
