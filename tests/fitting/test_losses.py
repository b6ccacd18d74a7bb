# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimises: the terms and their slopes, weights, and whole fits with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import arrays_of, badge, bitmaps, decibels, film, pixels_of, ramp, save, small_job
from numpy.typing import NDArray
from optimisers import SIZE, optimiser, settings
from torch import Tensor

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec, read_job
from smalti.bridge.loss import TERMS, parse_loss
from smalti.engine.api import fit
from smalti.engine.composition import Composition
from smalti.engine.composition.render import render
from smalti.engine.fitting.objective import losses
from smalti.engine.fitting.objective.losses import (
    FLAT,
    HUBER,
    MSE,
    STABLE,
    TOE,
    Aim,
    Features,
    Loss,
)
from smalti.engine.fitting.strategy.importance import squared_error
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.job.vgg_weights import read_features
from smalti.engine.templates import Template, load_templates

Planes = NDArray[np.float64]

COLOUR_TERMS = tuple(term for term in TERMS if term != "alpha")
LOCAL_TERMS = tuple(term for term in TERMS if term not in ("alpha", "vgg"))


def random_state() -> dict[str, Tensor]:
    """Weights of VGG16's shapes, such that its layers neither fade nor explode, and names that are not used."""
    rng = torch.Generator().manual_seed(0)
    state = {"classifier.0.bias": torch.zeros(7)}
    place, channels = 0, 3
    for width in Features.WIDTHS:
        if width:
            scale = (2 / (9 * channels)) ** 0.5
            state[f"features.{place}.weight"] = scale * torch.randn(width, channels, 3, 3, generator=rng)
            state[f"features.{place}.bias"] = 0.1 * torch.randn(width, generator=rng)
            channels = width
        place += 2 if width else 1
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    return load_templates(bitmaps(tmp_path_factory.mktemp("bitmaps")))


def pictures(height: int = 29, width: int = 34, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Two that are somewhat alike: [height, width, 4] float64, opaque."""
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(0, 1, (height, width, 4))
    found = np.clip(0.3 + 0.5 * wanted + rng.normal(0, 0.1, wanted.shape), 0, 1)
    found[..., 3] = wanted[..., 3] = 1
    return torch.from_numpy(found), torch.from_numpy(wanted)


def loss_of(text: str, state: dict[str, Tensor] | None = None) -> Loss:
    return Loss(parse_loss(text), None if state is None else Features(state).double())


def planes(picture: Tensor) -> Tensor:
    return picture[..., :3].permute(2, 0, 1).unsqueeze(0)


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
def test_settings_of_the_loss_that_cannot_be_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        JobSpec("cat.jpg", "leaves", **changes).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message.startswith(named)


def test_every_term_that_can_be_asked_for_is_scaled_and_no_other() -> None:
    assert set(losses.SCALE) == set(TERMS)


# The terms.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_the_slope_is_that_of_finite_differences(term: str, weighted: bool, state: dict[str, Tensor]) -> None:
    found, wanted = pictures()
    compare = loss_of(term, state)
    rng = np.random.default_rng(2)
    counts = torch.from_numpy(rng.uniform(0, 2, found.shape[:2])) if weighted else None
    found[..., 3] = torch.from_numpy(rng.uniform(0, 1, found.shape[:2]))

    def value(picture: Tensor) -> Tensor:
        return compare(picture, wanted, counts, (picture[..., 3], wanted[..., 3]))

    at = found.clone().requires_grad_()
    value(at).backward()  # type: ignore[no-untyped-call]
    assert at.grad is not None
    # Among so many rectifiers some switch within any longer step.
    length = 1e-8 if term == "vgg" else 1e-6
    for _ in range(3):
        way = torch.from_numpy(rng.normal(0, 1, found.shape))
        step = length * way
        expected = float(value(found + step) - value(found - step)) / (2 * length)
        assert float((at.grad * way).sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_a_picture_is_no_distance_from_itself_and_some_from_others(term: str, state: dict[str, Tensor]) -> None:
    found, wanted = pictures()
    compare = loss_of(term, state)
    half = torch.full(found.shape[:2], 0.5, dtype=found.dtype)
    assert float(compare(wanted, wanted, None, (half, half))) == pytest.approx(0, abs=1e-9)
    assert float(compare(found, wanted, None, (half, 2 * half))) > 1e-5


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (12, 25)])
def test_every_term_works_on_any_canvas_and_for_black_and_white(
    term: str, size: tuple[int, int], state: dict[str, Tensor]
) -> None:
    compare = loss_of(term, state)
    for level in (0.0, 1.0):
        found = torch.full((*size, 4), level, dtype=torch.float32).requires_grad_()
        wanted = torch.full((*size, 4), 0.5)
        value = compare(found, wanted, torch.ones(size), (found[..., 3], wanted[..., 3]))
        value.backward()  # type: ignore[no-untyped-call]
        assert found.grad is not None
        assert found.grad.isfinite().all()
        assert value.isfinite()


def test_the_simple_terms_are_their_formulas() -> None:
    found, wanted = pictures()
    error = (found - wanted)[..., :3].numpy()
    big = abs(error) > HUBER
    assert big.any()
    assert not big.all()
    expected = {
        "mse": (error**2).mean(),
        "l1": abs(error).mean(),
        "huber": np.where(big, HUBER * (2 * abs(error) - HUBER), error**2).mean(),
    }
    for term, value in expected.items():
        assert float(loss_of(f"2*{term}")(found, wanted)) == pytest.approx(2 * losses.SCALE[term] * value)


def blurred(plane: Planes) -> Planes:
    """One pixel of SSIM's window after the other; edges repeat."""
    away = np.arange(-5, 6)
    window = np.exp(-(away**2) / (2 * 1.5**2))
    window /= window.sum()
    padded = np.pad(plane, [(5, 5), (5, 5), (0, 0)], mode="edge")
    height, width = plane.shape[:2]
    shifted = [window[i] * window[j] * padded[i : i + height, j : j + width] for i in range(11) for j in range(11)]
    return np.sum(shifted, axis=0)


def similarity(x: Planes, y: Planes) -> tuple[Planes, Planes]:
    """SSIM's two factors, from the formula of Wang et al. (2004)."""
    m, n = blurred(x), blurred(y)
    xx, yy, xy = blurred(x * x) - m * m, blurred(y * y) - n * n, blurred(x * y) - m * n
    return (
        (2 * m * n + STABLE[0]) / (m * m + n * n + STABLE[0]),
        (2 * xy + STABLE[1]) / (xx + yy + STABLE[1]),
    )


def test_ssim_is_its_formula() -> None:
    found, wanted = pictures()
    means, structure = similarity(found[..., :3].numpy(), wanted[..., :3].numpy())
    assert float(losses.ssim(planes(found), planes(wanted), None)) == pytest.approx(1 - (means * structure).mean())


def test_ssim_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    found, wanted = pictures()
    _, expected = metrics.structural_similarity(
        found[..., :3].numpy(), wanted[..., :3].numpy(), data_range=1.0, channel_axis=2, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, full=True,
    )  # fmt: skip
    means, structure = losses._similarity(planes(found), planes(wanted))
    ours = (means * structure)[0].permute(1, 2, 0).numpy()
    # At the rim it mirrors the picture.
    np.testing.assert_allclose(ours[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-6)


def test_ms_ssim_is_its_formula() -> None:
    found, wanted = pictures(48, 56)
    x, y = (p[..., :3].numpy() for p in (found, wanted))
    betas = np.array(losses.BETAS[:3]) / sum(losses.BETAS[:3])
    expected = 1.0
    for scale, beta in enumerate(betas):
        means, structure = similarity(x, y)
        expected *= ((means * structure if scale == 2 else structure).mean()) ** beta
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    assert losses.scales_of((48, 56)) == 3
    assert float(losses.ms_ssim(planes(found), planes(wanted), None)) == pytest.approx(1 - expected)


def test_ms_ssim_is_nearly_that_of_torchmetrics() -> None:
    """Which leaves the rim out, where ours repeats the edge."""
    image = pytest.importorskip("torchmetrics.functional.image")
    rng = np.random.default_rng(5)
    rough = torch.from_numpy(rng.uniform(0, 1, (1, 3, 24, 26)))
    wanted = torch.nn.functional.interpolate(rough, scale_factor=9, mode="bilinear")
    found = (wanted + torch.from_numpy(rng.normal(0, 0.1, wanted.shape))).clamp(0, 1)
    expected = image.multiscale_structural_similarity_index_measure(found, wanted, data_range=1.0)
    assert 0.5 < expected < 0.98
    assert 1 - float(losses.ms_ssim(found, wanted, None)) == pytest.approx(float(expected), abs=0.01)


@pytest.mark.parametrize(
    ("size", "scales"), [((5, 500), 1), ((21, 30), 1), ((22, 30), 2), ((175, 900), 4), ((176, 176), 5)]
)
def test_ms_ssim_has_as_many_scales_as_its_window_fits(size: tuple[int, int], scales: int) -> None:
    assert losses.scales_of(size) == scales


def test_ms_ssim_of_opposites_is_finite_and_wide() -> None:
    wanted = pictures(40, 40)[1]
    found = (1 - wanted).requires_grad_()
    value = losses.ms_ssim(planes(found), planes(wanted), None)
    value.backward()  # type: ignore[no-untyped-call]
    assert 0.9 < float(value.detach()) < 1
    assert found.grad is not None
    assert found.grad.isfinite().all()


def test_edges_see_slopes_and_not_levels() -> None:
    flat, slope = torch.zeros(1, 3, 40, 60, dtype=torch.float64), 0.01
    assert float(losses.edges(flat + 0.7, flat, None)) == 0
    rising = flat + slope * torch.arange(60)
    inside = torch.zeros(1, 1, 40, 60, dtype=torch.float64)
    inside[..., 8:-8] = 1  # beyond it, the slope of a repeated edge
    # Half as fine, it is twice as steep; the mean is over both directions.
    expected = (slope**2 + (2 * slope) ** 2) / 2
    assert float(losses.edges(rising, flat, inside)) == pytest.approx(expected)
    assert float(losses.edges(rising.mT, flat.mT, inside.mT)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.62796, 0.22486, 0.12585)),
        ((0.0, 1.0, 0.0), (0.86644, -0.23389, 0.17950)),
        ((0.0, 0.0, 1.0), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_has_its_published_values(colour: tuple[float, ...], expected: tuple[float, ...]) -> None:
    found = losses.oklab_of(torch.tensor(colour, dtype=torch.float64).reshape(1, 3, 1, 1))
    np.testing.assert_allclose(found.reshape(3).numpy(), expected, atol=2e-4)


def test_oklab_is_a_smooth_curve_at_its_toe() -> None:
    """Value and slope of the cube root and of its tangent meet."""
    edge = 12.92 * TOE  # where grey's cones are as bright as the toe: there the display's curve is a straight line
    grey = torch.tensor([edge - 1e-6, edge + 1e-6], dtype=torch.float64).repeat(1, 3, 1, 1).requires_grad_()
    light = losses.oklab_of(grey)[:, 0]
    light.sum().backward()  # type: ignore[no-untyped-call]
    below, above = light.flatten().tolist()
    assert below == pytest.approx(above, abs=1e-4)
    assert grey.grad is not None
    slopes = grey.grad.sum(dim=1).flatten()
    assert float(slopes[0]) == pytest.approx(float(slopes[1]), rel=1e-3)


@pytest.mark.parametrize("term", [*LOCAL_TERMS, "alpha"])
def test_what_does_not_count_is_not_seen(term: str) -> None:
    found, wanted = pictures(64, 96)
    found.requires_grad_()
    counts = torch.zeros(64, 96)
    counts[:, 72:] = 3
    compare, opacity = loss_of(term), (found[..., 1], wanted[..., 1])
    value = compare(found, wanted, counts, opacity)
    value.backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None
    slope = found.grad.abs().sum(dim=(0, 2))
    # The windows of the coarsest scale reach beyond the border.
    assert slope[:24].sum() == 0 or term == "ms_ssim"
    assert slope[:24].sum() < 1e-3 * slope[72:].sum()
    with torch.no_grad():  # proportions alone matter
        assert float(value) == pytest.approx(float(compare(found, wanted, counts / 7, opacity)))


def test_a_sum_is_the_sum_of_its_terms() -> None:
    found, wanted = pictures()
    parts = [float(loss_of(text)(found, wanted)) for text in ("mse", "0.3*ssim", "2*edges")]
    assert float(loss_of("mse+0.3*ssim+2*edges")(found, wanted)) == pytest.approx(sum(parts))


def test_features_are_those_of_the_layers_one_after_another(state: dict[str, Tensor]) -> None:
    found, _ = pictures(20, 24)
    x = (planes(found).float() - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    expected = []
    for place in (0, 2, -1, 5, 7, -1, 10, 12, 14, -1, 17, 19, 21):
        if place < 0:
            expected.append(x / x.norm(dim=1, keepdim=True))
            x = torch.nn.functional.max_pool2d(x, 2)
        else:
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
    expected.append(x / x.norm(dim=1, keepdim=True))
    found_features = Features(state)(planes(found))
    assert len(found_features) == len(expected) == 4
    for one, other in zip(found_features, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_features_of_a_goal_are_kept_only_for_that_goal(state: dict[str, Tensor]) -> None:
    one, other = pictures()
    compare = loss_of("vgg", state)
    first = float(compare(one, other))
    assert float(compare(one, other)) == first
    assert float(compare(one, one)) == pytest.approx(0, abs=1e-9)
    assert float(compare(one, other)) == first


# The weights of VGG16.


def test_the_weights_come_from_a_state_dict(weights_file: Path, state: dict[str, Tensor]) -> None:
    features = read_features(weights_file)
    assert torch.equal(features.state_dict()["features.21.weight"], state["features.21.weight"])
    assert not any(weight.requires_grad for weight in features.parameters())


def holding(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Writes what the change makes of the random weights."""
    return lambda path: torch.save(change(random_state()), path)


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "holds no weights, or is damaged"),
        (lambda path: path.write_text("no weights"), "holds no weights, or is damaged"),
        (lambda path: save(path.with_suffix(".png"), ramp()).rename(path), "holds no weights, or is damaged"),
        (holding(lambda state: torch.nn.ReLU()), "holds no weights, or is damaged"),
        (holding(lambda state: [torch.ones(3)]), "holds something else than a state dict"),
        (holding(lambda state: {}), "features.0.weight is missing"),
        (holding(lambda state: {n: w for n, w in state.items() if "14" not in n}), "features.14.weight is missing"),
        (holding(lambda state: {**state, "features.0.weight": 3}), "features.0.weight is missing"),
        (
            holding(lambda state: {**state, "features.5.weight": torch.ones(64, 128, 3, 3)}),
            "features.5.weight has shape (64, 128, 3, 3), not (128, 64, 3, 3)",
        ),
        (
            holding(lambda state: {**state, "features.2.bias": torch.full((64,), torch.nan)}),
            "features.2.bias holds values that are not finite",
        ),
    ],
)
def test_a_file_without_these_weights_is_named(tmp_path: Path, write: Callable[[Path], None], named: str) -> None:
    path = tmp_path / "vgg16.pth"
    write(path)
    with pytest.raises(SmaltiError) as caught:
        read_features(path)
    assert caught.value.code == "bad_weights"
    assert caught.value.message.startswith(f"{path}: ")
    assert named in caught.value.message
    assert "vgg16-397923af.pth" in caught.value.hint


def test_a_cut_file_of_weights_is_named(tmp_path: Path, weights_file: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(weights_file.read_bytes()[:100_000])
    with pytest.raises(SmaltiError, match=r"cut\.pth: holds no weights, or is damaged"):
        read_features(path)


# Weights of pixels.


def test_detail_counts_more_and_the_mean_is_one() -> None:
    picture = np.full((64, 80, 4), 0.5)
    picture[:, 40:, :3] = np.random.default_rng(0).uniform(0, 1, (64, 40, 3))
    assert MSE.weights(picture) is None
    for detail_weight in (0.5, 1.0):
        counts = Aim(detail_weight=detail_weight).weights(picture)
        assert counts is not None
        assert counts.mean() == pytest.approx(1)
        flat, busy = counts[:, :30].mean(), counts[:, 50:].mean()
        assert flat / busy == pytest.approx(1 - detail_weight * (1 - FLAT), abs=0.1)


def test_a_weight_map_counts_times_the_detail() -> None:
    picture = np.random.default_rng(0).uniform(0, 1, (32, 40, 4))
    grey = np.linspace(0, 1, 40, dtype=np.float32) * np.ones((32, 1), np.float32)
    counts = Aim(weight_map=grey).weights(picture)
    assert counts is not None
    np.testing.assert_allclose(counts, grey / grey.mean(), rtol=1e-5)
    both, detail = Aim(weight_map=grey, detail_weight=0.6).weights(picture), Aim(detail_weight=0.6).weights(picture)
    assert both is not None
    assert detail is not None
    product = grey * detail
    np.testing.assert_allclose(both, product / product.mean(), rtol=1e-4)


# Steps.


def test_the_mean_squared_error_alone_stays_with_the_kernels() -> None:
    even = np.ones(SIZE, np.float32)
    for aim in (MSE, Aim((("mse", 0.5),))):
        assert aim.loss() is None
        assert optimiser(True, settings(aim=aim))._fused is not None
    for aim in (Aim((("l1", 1.0),)), Aim(weight_map=even), Aim(detail_weight=0.1)):
        assert aim.loss() is not None
        assert optimiser(True, settings(aim=aim))._fused is None


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "changes", [{}, {"blend_space": "linear", "colour_mix": 0.4}, {"pyramid": ((0.02, 4), (0.05, 3))}], ids=str
)
def test_even_weights_change_nothing(background: bool, changes: dict[str, Any]) -> None:
    """The general way and the kernels' own agree: same error, same steps."""
    general = optimiser(background, settings(aim=Aim(weight_map=np.full(SIZE, 0.3, np.float32)), **changes))
    kernels = optimiser(background, settings(**changes))
    for step in range(7):
        general.restore(kernels.state())
        before = general.state()
        assert float(general.step()) == pytest.approx(float(kernels.step()), rel=1e-5)
        found, true = general.state(), kernels.state()
        for name in true:
            close = 2e-2 if name.startswith("parameter.") else 1e-3
            moved, off = (np.linalg.norm(true[name] - other[name]) for other in (before, found))
            assert off <= close * moved, (step, name)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("loss", ["l1+0.5*alpha", "mse+ms_ssim+edges", "oklab+huber+ssim"])
def test_back_ends_agree(background: bool, space: str, loss: str) -> None:
    aim = Aim(parse_loss(loss), detail_weight=0.5)
    native, reference = (
        optimiser(background, settings(aim=aim, blend_space=space, back_end=name, colour_mix=0.3))
        for name in ("cpu", "reference")
    )
    assert float(native.step()) == pytest.approx(float(reference.step()), rel=1e-4)
    found, true = native.state(), reference.state()
    for name in true:
        if name.startswith("adam.mean."):
            np.testing.assert_allclose(found[name], true[name], rtol=5e-3, atol=1e-3 * abs(true[name]).max())


def test_a_loss_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses._COLOURS, "l1", lambda found, wanted, weights: found.sum() * torch.nan)
    fitting = optimiser(True, settings(aim=Aim((("l1", 1.0),))))
    assert not np.isfinite(float(fitting.step()))


@pytest.mark.parametrize("background", [True, False])
def test_recycling_looks_where_it_matters(background: bool) -> None:
    right = np.zeros(SIZE, np.float32)
    right[:, 40:] = 1
    error = squared_error(optimiser(background, settings(aim=Aim(weight_map=right))))
    assert (error[:, :40] == 0).all()
    assert error[:, 40:].mean() > 0


# Whole fits.


def scene() -> NDArray[np.uint8]:
    """[64, 96, 3]: a gradient, stripes, and a few dark squares."""
    pixels = ramp(96, 64).astype(np.float64)
    pixels[:, 48:72] = 60 + 140 * (np.arange(24) // 4 % 2)[None, :, None]
    pixels[8:24, 8:24] = (10, 10, 30)
    pixels[36:56, 76:92] = (5, 40, 10)
    return pixels.astype(np.uint8)


def salted() -> NDArray[np.uint8]:
    """[64, 96, 3]: a gradient in the dark, with white grains: what is best depends on how much an outlier counts."""
    pixels = ramp(96, 64) // 3
    pixels[np.random.default_rng(0).uniform(size=(64, 96)) < 0.15] = 255
    return pixels


def shown(composition: Composition) -> Tensor:
    return torch.from_numpy(render(composition).astype(np.float64))


@pytest.mark.parametrize("term", COLOUR_TERMS)
def test_a_fit_lessens_what_it_is_asked_to_more_than_another(
    term: str, tmp_path: Path, templates: list[Template], weights_file: Path
) -> None:
    target = save(tmp_path / "salted.png", salted())
    wanted = torch.from_numpy(pixels_of(target))
    options: dict[str, Any] = {"count": 60, "steps": 120, "max_size": 40}
    file = None
    if term == "vgg":
        options["steps"], file = 40, weights_file
    asked = fit(target, templates, loss=term, loss_weights_file=file, **options)
    other = fit(target, templates, loss="l1" if term == "mse" else "mse", **options)
    compare = Loss(parse_loss(term), None if file is None else read_features(file))
    with torch.no_grad():
        assert float(compare(shown(asked), wanted)) < float(compare(shown(other), wanted))


def test_the_opacity_of_a_cut_out_comes_closer(tmp_path: Path, templates: list[Template]) -> None:
    target = save(tmp_path / "badge.png", badge())
    errors = []
    for loss in ("mse+3*alpha", "mse"):
        alpha = shown(fit(target, templates, count=60, steps=120, loss=loss))[..., 3].numpy()
        errors.append(np.square(alpha - pixels_of(target)[..., 3]).mean())
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("loss", ["mse", "l1+0.2*ssim"])
def test_a_fit_is_better_where_the_weight_map_is_white(loss: str, tmp_path: Path, templates: list[Template]) -> None:
    target = save(tmp_path / "scene.png", scene())
    grey = np.full((32, 48), 20, np.uint8)
    grey[:, 24:36] = 255
    weight_map = save(tmp_path / "map.png", grey)
    wanted = pixels_of(target)[..., :3]
    white = np.s_[:, 48:72]

    def reached(seed: int, chosen: Path | None) -> float:
        found = fit(target, templates, count=60, steps=120, loss=loss, weight_map=chosen, seed=seed)
        return decibels(shown(found).numpy()[..., :3][white], wanted[white])

    # One seed differs from another by more than a decibel.
    assert np.mean([reached(seed, weight_map) - reached(seed, None) for seed in range(8)]) > 0.3


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "l1", "preset": "published", "steps": 20},
        {"loss": "mse+0.3*ms_ssim", "blend_space": "linear", "colour_mix": 0.5},
        {"loss": "oklab+edges", "lock_rotation": True, "lock_scale": True, "colour_mix": 1.0},
        {"loss": "huber+0.1*alpha", "background": "transparent"},
        {"loss": "mse", "detail_weight": 0.7},
    ],
    ids=lambda changes: changes["loss"],
)
def test_a_resumed_job_ends_as_if_it_had_not_been_stopped(tmp_path: Path, changes: dict[str, Any]) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 2)), **changes)
    run_job(job, tmp_path / "whole")
    for after in (5, (job.steps or 0) + 2):  # in the first frame and in the second
        asked = iter(range(1000))
        out = tmp_path / f"part{after}"
        assert run_job(job, out, should_stop=lambda asked=asked, after=after: next(asked) >= after).cancelled  # type: ignore[misc]
        assert not resume_job(out).cancelled
        whole, part = arrays_of(tmp_path / "whole"), arrays_of(out)
        assert all(np.array_equal(whole[name], part[name]) for name in whole)


def test_a_job_with_features_keeps_the_whole_path_and_goes_on(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights_file.parent)
    job = small_job(tmp_path, size=24, steps=4, loss="mse+0.1*vgg", loss_weights_file=weights_file.name)
    run_job(job, tmp_path / "whole")
    assert read_job(tmp_path / "whole" / "job.json").loss_weights_file == str(weights_file)
    asked = iter(range(1000))
    assert run_job(job, tmp_path / "part", should_stop=lambda: next(asked) >= 2).cancelled
    assert not resume_job(tmp_path / "part").cancelled
    whole, part = arrays_of(tmp_path / "whole"), arrays_of(tmp_path / "part")
    assert all(np.array_equal(whole[name], part[name]) for name in whole)
