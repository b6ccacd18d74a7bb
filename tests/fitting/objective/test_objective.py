# SPDX-License-Identifier: GPL-3.0-or-later
"""The objective in a fit: weights of pixels, steps with every kind of loss, and what whole fits come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Floats, badge, decibels, film, pixels_of, ramp, save, slow, small_job
from numpy.typing import NDArray
from optimisers import SIZE, optimiser, settings
from PIL import Image
from runs import same_result, stopped

from smalti.bridge.loss import parse_loss
from smalti.engine.api import fit
from smalti.engine.arrays import Float32Array
from smalti.engine.composition import Composition
from smalti.engine.composition.render import render
from smalti.engine.cpu.fused_step import picture_loss
from smalti.engine.fitting.objective.losses import MSE, TERMS, Comparison, Objective, Term
from smalti.engine.fitting.strategy.importance import squared_error
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.raster.loss import NEIGHBOURHOOD_TERMS, PIXEL_TERMS
from smalti.engine.templates import Template

COLOR_TERMS = (*PIXEL_TERMS, *NEIGHBOURHOOD_TERMS)


# Weights of pixels.


def test_detail_counts_more_and_the_mean_is_one() -> None:
    picture = np.full((64, 80, 4), 0.5)
    picture[:, 40:, :3] = np.random.default_rng(0).uniform(0, 1, (64, 40, 3))
    assert MSE.weights(picture) is None
    for detail_weight in (0.5, 1.0):
        weights = Objective(detail_weight=detail_weight).weights(picture)
        assert weights is not None
        assert weights.mean() == pytest.approx(1)
        flat, detailed = weights[:, :30].mean(), weights[:, 50:].mean()
        assert flat / detailed == pytest.approx(1 - detail_weight * (1 - MSE.flat_share), abs=0.1)


def test_a_weight_map_multiplies_the_weights_of_detail() -> None:
    picture = np.random.default_rng(0).uniform(0, 1, (32, 40, 4))
    gray = np.linspace(0, 1, 40, dtype=np.float32) * np.ones((32, 1), np.float32)
    weights = Objective(weight_map=gray).weights(picture)
    assert weights is not None
    np.testing.assert_allclose(weights, gray / gray.mean(), rtol=1e-5)
    both = Objective(weight_map=gray, detail_weight=0.6).weights(picture)
    detail = Objective(detail_weight=0.6).weights(picture)
    assert both is not None
    assert detail is not None
    product = gray * detail
    np.testing.assert_allclose(both, product / product.mean(), rtol=1e-4)


# Steps.


def test_the_unweighted_mean_squared_error_alone_needs_no_loss_beside_it() -> None:
    even = np.ones(SIZE, np.float32)
    for objective in (MSE, Objective((("mse", 0.5),))):
        assert objective.loss() is None
        assert optimiser(True, settings(objective=objective)).objective.step_loss(0) is None
    for objective in (Objective((("l1", 1.0),)), Objective(weight_map=even), Objective(detail_weight=0.1)):
        assert objective.loss() is not None
        assert optimiser(True, settings(objective=objective)).objective.step_loss(0) is not None


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "changes", [{}, {"blend_space": "linear", "colour_mix": 0.4}, {"pyramid": ((0.02, 4), (0.05, 3))}], ids=str
)
def test_a_constant_weight_map_changes_nothing(background: bool, changes: dict[str, Any]) -> None:
    """The kernels' sum of terms and their plain squared error agree: same error, same steps."""
    weighted = Objective(weight_map=np.full(SIZE, 0.3, np.float32))
    weighted_steps = optimiser(background, settings(objective=weighted, **changes))
    plain_steps = optimiser(background, settings(**changes))
    for step in range(7):
        weighted_steps.restore(plain_steps.state())
        before = weighted_steps.state()
        assert float(weighted_steps.step()) == pytest.approx(float(plain_steps.step()), rel=1e-5)
        result, expected = weighted_steps.state(), plain_steps.state()
        for name in expected:
            close = 2e-2 if name.startswith("parameter.") else 1e-5
            moved, off = (np.linalg.norm(expected[name] - other[name]) for other in (before, result))
            assert off <= close * moved, (step, name)


def written_in_python(scale: float, factor: float) -> Term:
    """The term l1, `factor` times."""

    def term(pictures: Comparison) -> tuple[float, Float32Array]:
        difference = pictures.rendered - pictures.goal
        weights = np.ones(SIZE, np.float32) if pictures.weights is None else pictures.weights / pictures.weights.mean()
        gradient = np.float32(factor / difference.size) * weights * np.sign(difference)
        return factor * float((weights * abs(difference)).mean()), gradient

    return Term(scale, create=lambda objective: term)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("others", ["", "+ssim+0.3*alpha"])
def test_a_term_written_in_python_takes_the_steps_of_the_kernels_own(
    background: bool, others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight_map = np.random.default_rng(0).uniform(0, 1, SIZE).astype(np.float32)
    chosen = settings(objective=Objective(parse_loss(f"l1{others}"), weight_map=weight_map), blend_space="linear")
    states = []
    for term in (TERMS["l1"], written_in_python(0.3, 0.5)):
        monkeypatch.setitem(TERMS, "l1", term)
        fitting = optimiser(background, chosen)
        loss = fitting.step()
        states.append((float(loss), fitting.state()))
    assert states[0][0] == pytest.approx(states[1][0], rel=1e-6)
    for name, expected in states[0][1].items():
        if name.startswith("adam.mean"):
            assert np.linalg.norm(states[1][1][name] - expected) < 1e-4 * np.linalg.norm(expected), name


def test_a_loss_that_is_not_finite_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Term(1.0, create=lambda objective: lambda pictures: (float("nan"), np.zeros_like(pictures.rendered)))
    monkeypatch.setitem(TERMS, "l1", nothing)
    for back_end in ("cpu", "reference"):
        fitting = optimiser(True, settings(objective=Objective((("l1", 1.0),)), back_end=back_end))
        assert not np.isfinite(float(fitting.step()))


@pytest.mark.parametrize("background", [True, False])
def test_errors_without_weight_attract_no_sprites(background: bool) -> None:
    right = np.zeros(SIZE, np.float32)
    right[:, 40:] = 1
    error = squared_error(optimiser(background, settings(objective=Objective(weight_map=right))))
    assert (error[:, :40] == 0).all()
    assert error[:, 40:].mean() > 0


# Whole fits.


def marbled() -> NDArray[np.uint8]:
    """[64, 96, 3]: soft spots of all colors."""
    coarse = np.random.default_rng(1).integers(40, 216, (6, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((96, 64), Image.Resampling.BICUBIC))


def salted() -> NDArray[np.uint8]:
    """[64, 96, 3]: a dark gradient with white grains: the best fit depends on how much an outlier counts."""
    pixels = ramp(96, 64) // 3
    pixels[np.random.default_rng(0).uniform(size=(64, 96)) < 0.15] = 255
    return pixels


def rendered(composition: Composition) -> Floats:
    """[H, W, 4] float64."""
    return render(composition).astype(np.float64)


def distance(picture: Floats, goal: Floats, term: str) -> float:
    """Of two pictures [H, W, 4], by the term."""
    shown, expected = (np.ascontiguousarray(each[..., :3].transpose(2, 0, 1)) for each in (picture, goal))
    return picture_loss(shown, expected, None, {term: 1.0})[0]


SALTED: Mapping[str, Any] = {"count": 60, "steps": 120, "max_size": 40}


@pytest.fixture(scope="module")
def salted_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("salted") / "salted.png", salted())


@pytest.fixture(scope="module")
def fit_with_mse(salted_file: Path, templates: list[Template]) -> Floats:
    return rendered(fit(salted_file, templates, loss="mse", **SALTED))


@pytest.fixture(scope="module")
def fit_with_l1(salted_file: Path, templates: list[Template]) -> Floats:
    return rendered(fit(salted_file, templates, loss="l1", **SALTED))


@pytest.mark.parametrize("term", [t if t in ("mse", "l1", "oklab") else slow(t) for t in COLOR_TERMS])
def test_a_fit_lowers_its_own_loss_more_than_another_fit_does(
    term: str, salted_file: Path, templates: list[Template], fit_with_mse: Floats, fit_with_l1: Floats
) -> None:
    goal = pixels_of(salted_file)
    known = {"mse": fit_with_mse, "l1": fit_with_l1}
    own = known[term] if term in known else rendered(fit(salted_file, templates, loss=term, **SALTED))
    other = fit_with_l1 if term == "mse" else fit_with_mse
    assert distance(own, goal, term) < distance(other, goal, term)


def test_the_term_alpha_brings_the_opacity_of_a_cut_out_closer(tmp_path: Path, templates: list[Template]) -> None:
    target = save(tmp_path / "badge.png", badge())
    errors = []
    for loss in ("mse+3*alpha", "mse"):
        alpha = rendered(fit(target, templates, count=60, steps=120, loss=loss))[..., 3]
        errors.append(np.square(alpha - pixels_of(target)[..., 3]).mean())
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("loss", ["mse", slow("l1+0.2*ssim")])
def test_a_fit_is_better_where_the_weight_map_is_white(loss: str, tmp_path: Path, templates: list[Template]) -> None:
    target = save(tmp_path / "marbled.png", marbled())
    gray = np.full((32, 48), 20, np.uint8)
    gray[:, 24:36] = 255
    weight_map = save(tmp_path / "map.png", gray)
    goal = pixels_of(target)[..., :3]
    white = np.s_[:, 48:72]

    def psnr(seed: int, chosen: Path | None) -> float:
        result = fit(target, templates, count=30, steps=40, loss=loss, weight_map=chosen, seed=seed)
        return decibels(rendered(result)[..., :3][white], goal[white])

    # The gain is 1 dB on average, and differs by 0.6 dB from seed to seed (standard deviation).
    assert np.mean([psnr(seed, weight_map) - psnr(seed, None) for seed in range(3)]) > 0.3


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "l1", "preset": "published", "steps": 20},
        {"loss": "mse+0.3*ms_ssim", "blend_space": "linear", "colour_mix": 0.5, "background": "#404040"},
        slow(
            {
                "loss": "oklab+edges",
                "lock_rotation": True,
                "lock_scale": True,
                "colour_mix": 1.0,
                "background": "#404040",
            }
        ),
        slow({"loss": "huber+0.1*alpha", "background": "transparent"}),
        slow({"loss": "mse", "detail_weight": 0.7}),
    ],
    ids=lambda changes: changes["loss"],
)
def test_a_resumed_job_ends_as_if_it_had_not_been_stopped(tmp_path: Path, changes: dict[str, Any]) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 2)), **changes)
    run_job(job, tmp_path / "whole")
    for after in (5, (job.steps or 0) + 2):  # in the first frame and in the second
        out = tmp_path / f"part{after}"
        stopped(job, out, after)
        assert not resume_job(out).cancelled
        assert same_result(tmp_path / "whole", out)
