# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses: how they are written, and each term's values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from vgg import random_weights

from smalti.bridge import loss as bridge_loss
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.loss import needs_weights_file, parse_loss
from smalti.engine.fitting.objective.comparison import Comparison
from smalti.engine.fitting.objective.losses import (
    BETAS,
    C1,
    C2,
    HUBER_DELTA,
    TERMS,
    TOE,
    Loss,
    Needs,
    Objective,
    Term,
    edges,
    ms_ssim,
    oklab_of,
    scales_of,
    similarity,
    ssim,
)
from smalti.engine.fitting.objective.vgg import Features

Planes = NDArray[np.float64]

LOCAL_TERMS = tuple(name for name, term in TERMS.items() if Needs.NETWORK not in term.needs)


@pytest.fixture(scope="module")
def network() -> Features:
    return Features(random_weights()).double()


def pictures(height: int = 29, width: int = 34) -> tuple[Tensor, Tensor]:
    """A rendered picture and its goal, somewhat alike: [height, width, 4] float64, opaque."""
    rng = np.random.default_rng(1)
    goal = rng.uniform(0, 1, (height, width, 4))
    rendered = np.clip(0.3 + 0.5 * goal + rng.normal(0, 0.1, goal.shape), 0, 1)
    rendered[..., 3] = goal[..., 3] = 1
    return torch.from_numpy(rendered), torch.from_numpy(goal)


def planes(picture: Tensor) -> Tensor:
    """[h, w, 4] -> [1, 3, h, w]."""
    return picture[..., :3].permute(2, 0, 1).unsqueeze(0)


def loss_of(text: str, network: Features | None = None) -> Loss:
    return Loss(Objective(parse_loss(text), network))


# The text.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse", (("mse", 1.0),)),
        ("mse+0.3*ms_ssim", (("mse", 1.0), ("ms_ssim", 0.3))),
        (" l1 + .1 * edges+5e-2*vgg ", (("l1", 1.0), ("edges", 0.1), ("vgg", 0.05))),
        ("1000*alpha", (("alpha", 1000.0),)),
    ],
)
def test_a_loss_is_read_as_a_sum(text: str, expected: object) -> None:
    assert parse_loss(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("psnr", "there is no term 'psnr', only mse, l1, huber"),
        ("MSE", "there is no term 'MSE'"),
        ("mse+", "a term is missing"),
        ("mse++l1", "a term is missing"),
        ("2*", "a term is missing"),
        ("mse-l1", "there is no term 'mse-l1'"),
        ("mse+x*l1", "the factor of l1 is 'x', which is no number"),
        ("*l1", "the factor of l1 is '', which is no number"),
        ("2*3*l1", "the factor of l1 is '2*3', which is no number"),
        ("nan*l1", "the factor of l1 is 'nan', which is no number"),
        ("inf*l1", "the factor of l1 is 'inf', which is no number"),
        ("1_0*l1", "the factor of l1 is '1_0', which is no number"),
        ("mse+-0.5*l1", "the factor of l1 is -0.5, but must be more than 0"),
        ("0*mse", "the factor of mse is 0, but must be more than 0"),
        ("1e9*mse", "the factor of mse is 1e9, but must be more than 0 and at most 1000"),
        ("mse+l1+0.5*mse", "mse is there twice"),
    ],
)
def test_what_is_wrong_with_a_loss_is_named(text: str, why: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        JobSpec("cat.jpg", "leaves", loss=text).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message.startswith(f"loss is {text!r}, but must be a sum of terms")
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"loss": "mse+vgg"}, "loss_weights_file is missing, but must be the path of VGG16's weights"),
        ({"loss": "vgg", "loss_weights_file": ""}, "loss_weights_file is '', but must be"),
        ({"loss_weights_file": "vgg16.pth"}, "loss_weights_file is 'vgg16.pth', but must be left out"),
        ({"detail_weight": -0.1}, "detail_weight is -0.1, but must be from 0"),
        ({"detail_weight": 1.1}, "detail_weight is 1.1, but must be from 0"),
        ({"detail_weight": float("nan")}, "detail_weight is nan, but must be from 0"),
    ],
)
def test_invalid_settings_of_the_loss_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        JobSpec("cat.jpg", "leaves", **changes).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message.startswith(named)


# The table.


def test_every_term_has_a_row_in_both_tables() -> None:
    assert list(TERMS) == list(bridge_loss.TERMS)
    for name, term in TERMS.items():
        assert needs_weights_file(((name, 1.0),)) == (Needs.NETWORK in term.needs)


def test_a_new_term_takes_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def cubed(pictures: Comparison) -> Tensor:
        return pictures.mean((pictures.rendered - pictures.goal).abs() ** 3)

    monkeypatch.setitem(TERMS, "cubed", Term.of(cubed, 0.5, per_pixel=True))
    rendered, goal = pictures()
    objective = Objective((("cubed", 2.0),))
    expected = (rendered - goal)[..., :3].abs().pow(3).mean()
    assert float(Loss(objective)(rendered, goal)) == pytest.approx(float(expected))
    assert objective.is_per_pixel


def test_a_term_may_compare_with_the_frame_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flicker:
        """Changes from frame to frame that the target does not have."""

        def __init__(self, objective: Objective) -> None:
            self.made_for = objective

        def __call__(self, pictures: Comparison) -> Tensor:
            before = pictures.previous
            if before is None:
                return pictures.rendered.new_zeros(())
            change = pictures.rendered - before.rendered
            return pictures.mean((change - (pictures.goal - before.goal)).square())

    monkeypatch.setitem(TERMS, "flicker", Term(Flicker, 1.0, needs=Needs.PREVIOUS))
    loss = Loss(Objective((("l1", 1.0), ("flicker", 1.0))))
    rendered, goal = pictures()
    assert loss.needs == Needs.PREVIOUS
    alone = float(loss_of("l1")(rendered, goal))
    assert float(loss(rendered, goal)) == pytest.approx(alone)
    assert float(loss(rendered, goal, previous=(rendered, goal))) == pytest.approx(alone)
    assert float(loss(rendered, goal, previous=(rendered + 0.5, goal))) == pytest.approx(alone + 0.25)


# The terms.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_is_that_of_finite_differences(term: str, weighted: bool, network: Features) -> None:
    rendered, goal = pictures()
    loss = loss_of(term, network)
    rng = np.random.default_rng(2)
    weights = torch.from_numpy(rng.uniform(0, 2, rendered.shape[:2])) if weighted else None
    rendered[..., 3] = torch.from_numpy(rng.uniform(0, 1, rendered.shape[:2]))

    def value(picture: Tensor) -> Tensor:
        return loss(picture, goal, weights, (picture[..., 3], goal[..., 3]), (goal, goal))

    at = rendered.clone().requires_grad_()
    value(at).backward()
    assert at.grad is not None
    # Within a longer step some of the network's many rectifiers switch.
    length = 1e-8 if Needs.NETWORK in TERMS[term].needs else 1e-6
    direction = torch.from_numpy(rng.normal(0, 1, rendered.shape))
    with torch.no_grad():
        step = length * direction
        expected = float(value(rendered + step) - value(rendered - step)) / (2 * length)
    assert float((at.grad * direction).sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_a_picture_has_no_distance_from_itself_and_some_from_others(term: str, network: Features) -> None:
    rendered, goal = pictures()
    loss = loss_of(term, network)
    half = torch.full(rendered.shape[:2], 0.5, dtype=rendered.dtype)
    assert float(loss(goal, goal, None, (half, half), (goal, goal))) == pytest.approx(0, abs=1e-9)
    assert float(loss(rendered, goal, None, (half, 2 * half), (goal, goal))) > 1e-5


@pytest.mark.parametrize("term", TERMS)
def test_every_term_works_on_any_canvas_and_for_black_and_white(term: str, network: Features) -> None:
    loss = loss_of(term, network)
    for size in ((1, 1), (1, 7), (3, 2), (12, 25)):
        for level in (0.0, 1.0):
            rendered = torch.full((*size, 4), level, dtype=torch.float32).requires_grad_()
            goal = torch.full((*size, 4), 0.5)
            value = loss(rendered, goal, torch.ones(size), (rendered[..., 3], goal[..., 3]), (goal, goal))
            value.backward()
            assert rendered.grad is not None
            assert rendered.grad.isfinite().all()
            assert value.isfinite()


@pytest.mark.parametrize("term", LOCAL_TERMS)
def test_pixels_without_weight_get_no_gradient(term: str) -> None:
    rendered, goal = pictures(64, 96)
    rendered.requires_grad_()
    weights = torch.zeros(64, 96)
    weights[:, 72:] = 3
    loss, opacity, previous = loss_of(term), (rendered[..., 1], goal[..., 1]), (goal, goal)
    value = loss(rendered, goal, weights, opacity, previous)
    value.backward()
    assert rendered.grad is not None
    gradient = rendered.grad.abs().sum(dim=(0, 2))
    # The windows of the coarsest scale reach across the border.
    assert gradient[:24].sum() == 0 or term == "ms_ssim"
    assert gradient[:24].sum() < 1e-3 * gradient[72:].sum()
    with torch.no_grad():  # only proportions matter
        assert float(value) == pytest.approx(float(loss(rendered, goal, weights / 7, opacity, previous)))


def test_a_sum_is_the_sum_of_its_terms() -> None:
    rendered, goal = pictures()
    parts = [float(loss_of(text)(rendered, goal)) for text in ("mse", "0.3*ssim", "2*edges")]
    assert float(loss_of("mse+0.3*ssim+2*edges")(rendered, goal)) == pytest.approx(sum(parts))


def test_the_simple_terms_are_their_formulas() -> None:
    rendered, goal = pictures()
    error = (rendered - goal)[..., :3].numpy()
    large = abs(error) > HUBER_DELTA
    assert large.any()
    assert not large.all()
    expected = {
        "mse": (error**2).mean(),
        "l1": abs(error).mean(),
        "huber": np.where(large, HUBER_DELTA * (2 * abs(error) - HUBER_DELTA), error**2).mean(),
    }
    for term, value in expected.items():
        assert float(loss_of(f"2*{term}")(rendered, goal)) == pytest.approx(2 * TERMS[term].scale * value)


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


def compared(rendered: Tensor, goal: Tensor) -> Comparison:
    return Comparison(planes(rendered), planes(goal))


def test_ssim_is_its_formula() -> None:
    rendered, goal = pictures()
    luminance, structure = expected_similarity(rendered[..., :3].numpy(), goal[..., :3].numpy())
    assert float(ssim(compared(rendered, goal))) == pytest.approx(1 - (luminance * structure).mean())


def test_ssim_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rendered, goal = pictures()
    _, expected = metrics.structural_similarity(
        rendered[..., :3].numpy(), goal[..., :3].numpy(), data_range=1.0, channel_axis=2, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, full=True,
    )  # fmt: skip
    luminance, structure = similarity(planes(rendered), planes(goal))
    ours = (luminance * structure)[0].permute(1, 2, 0).numpy()
    # At the border it mirrors the picture, where ours repeats the edge.
    np.testing.assert_allclose(ours[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-6)


def test_ms_ssim_is_its_formula() -> None:
    rendered, goal = pictures(48, 56)
    x, y = (p[..., :3].numpy() for p in (rendered, goal))
    betas = np.array(BETAS[:3]) / sum(BETAS[:3])
    expected = 1.0
    for scale, beta in enumerate(betas):
        luminance, structure = expected_similarity(x, y)
        expected *= ((luminance * structure if scale == 2 else structure).mean()) ** beta
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    assert scales_of((48, 56)) == 3
    assert float(ms_ssim(compared(rendered, goal))) == pytest.approx(1 - expected)


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
    goal = pictures(40, 40)[1]
    rendered = (1 - goal).requires_grad_()
    value = ms_ssim(compared(rendered, goal))
    value.backward()
    assert 0.9 < float(value.detach()) < 1
    assert rendered.grad is not None
    assert rendered.grad.isfinite().all()


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
