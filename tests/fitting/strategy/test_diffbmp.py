# SPDX-License-Identifier: GPL-3.0-or-later
"""The DiffBMP baseline: its hyperparameters, and that the adaptive strategy comes closer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import decibels, pixels_of, slow
from optimisers import SIZE, optimiser, settings

from smalti.bridge.job import JobSpec
from smalti.engine.fitting.groups import Group
from smalti.engine.fitting.initialise import SamplerSettings, SpriteSampler, measure_template
from smalti.engine.fitting.plan import objective_of
from smalti.engine.fitting.strategy.diffbmp import DiffBMP
from smalti.engine.templates import Template


def test_the_baseline_begins_gray_faint_in_turn_and_denser_where_there_is_detail(templates: list[Template]) -> None:
    rng = np.random.default_rng(0)
    target = np.ones((60, 80, 4))
    target[..., :3] = 0.2
    target[:, 40:, :3] = rng.integers(0, 2, (60, 40, 1)) * 0.8 + 0.1
    shapes = [measure_template(np.ones((8, 8, 4)))] * 3
    sampler = SpriteSampler(target, shapes, 0.0, Group(500, range(3), (4.0, 30.0)), False, SamplerSettings())
    sprites = DiffBMP().initialise(sampler, 400, rng)
    np.testing.assert_array_equal(sprites.template, np.arange(400) % 3)
    np.testing.assert_allclose(sprites.opacity, 0.119, atol=0.001)
    assert 0.5 < sprites.tint.min() < sprites.tint.max() < 0.75
    assert (sprites.x > 40).mean() > 0.8
    assert sprites.scale[sprites.x > 44].mean() < 0.5 * sprites.scale[sprites.x < 36].mean()
    assert len(set(zip(sprites.x, sprites.y))) == 400
    assert len(DiffBMP().initialise(sampler, 10_000, rng)) == 10_000


@pytest.mark.parametrize("mix", [0.0, slow(1.0)])
def test_ours_comes_closer_than_the_baseline(ramp_file: Path, templates: list[Template], mix: float) -> None:
    goal = pixels_of(ramp_file)
    ours, theirs = (
        decibels(drawn(quick(ramp_file, templates, steps=100, colour_mix=mix, preset=preset)), goal)
        for preset in ("balanced", "published")
    )
    assert ours > theirs + (3 if mix == 0 else 0)
    assert theirs > decibels(np.broadcast_to(goal.mean(axis=(0, 1)), goal.shape), goal) - 3


def test_the_baseline_keeps_its_stack_and_prunes_nothing_where_there_is_a_background(
    ramp_file: Path, templates: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = _counted(monkeypatch)
    composition = quick(ramp_file, templates, steps=40, strategy=DiffBMP(prune_after=20, prune_interval=10))
    np.testing.assert_array_equal(composition.template, np.arange(60) % 2)
    assert pruned == [0] * 40


def test_in_a_cut_out_faint_sprites_begin_again_time_after_time(
    badge_file: Path, templates: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = _counted(monkeypatch)
    strategy = DiffBMP(prune_after=20, prune_interval=10, prune_below=1.1)
    composition = quick(badge_file, templates, steps=45, strategy=strategy)
    np.testing.assert_array_equal(composition.template, np.arange(60) % 2)
    assert [step for step, number in enumerate(pruned) if number] == [20, 30, 40]


@pytest.mark.parametrize("locked", [False, True])
def test_sprites_that_begin_again_are_half_as_large_each_time(locked: bool) -> None:
    strategy = replace(DiffBMP().for_cut_out(), prune_below=1.1)
    target = np.random.default_rng(0).uniform(size=(*SIZE, 4))
    target[:, :60] = 0.5
    sampler = _sampler(target, (1.0, 24.0))
    first = strategy.initialise(sampler, 40, np.random.default_rng(0))
    for done, halvings in ((200, 1), (250, 2), (300, 3)):
        fitted = optimiser(False, settings(lock_scale=locked))
        fitted.done = done
        assert strategy.before_step(fitted, [sampler], first, 0, True) == 40
        again = fitted.sprites()
        assert set(again.x) <= set(first.x.astype(np.float32))
        assert again.opacity.max() < 0.12
        if locked:
            np.testing.assert_allclose(again.scale, first.scale, rtol=1e-6)
        else:
            assert 0.8 * 12 / 2**halvings < again.scale.max() <= 12.001 / 2**halvings


def test_sizes_begin_within_those_of_the_job_and_no_larger_than_is_usual() -> None:
    target = np.random.default_rng(0).uniform(size=(200, 200, 4))
    target[..., 3] = 1
    target[:, :150, :3] = 0.5
    for sizes, largest in (((4.0, 100.0), 16.0), ((4.0, 20.0), 10.0), ((60.0, 100.0), 30.0)):
        sprites = DiffBMP().initialise(_sampler(target, sizes), 300, np.random.default_rng(0))
        assert sprites.scale.min() >= 0.5 * sizes[0]
        assert 0.9 * largest < sprites.scale.max() <= largest


def test_what_has_more_detail_lies_on_top_and_at_the_bottom_of_a_cut_out() -> None:
    target = np.ones((60, 80, 4))
    target[:, 40:, :3] = np.random.default_rng(0).integers(0, 2, (60, 40, 1))
    upper = []
    for strategy in (DiffBMP(), DiffBMP().for_cut_out()):
        sprites = strategy.initialise(_sampler(target, (4.0, 20.0)), 200, np.random.default_rng(0))
        upper.append((sprites.x[100:] > 44).mean() - (sprites.x[:100] > 44).mean())
    assert upper[0] > 0.05
    assert upper[1] < -0.05


def test_in_a_cut_out_opacities_learn_faster_and_alpha_is_compared() -> None:
    usual, cut_out = DiffBMP(), DiffBMP().for_cut_out()
    assert usual.schedule_of(500).learning_rates["opacity"] == pytest.approx(0.3)
    assert cut_out.schedule_of(500).learning_rates["opacity"] == pytest.approx(1.0)
    assert usual.added_terms == ()
    assert cut_out.added_terms == (("alpha", 0.3),)
    for loss, terms in (("mse", ("mse", "alpha")), ("mse+alpha", ("mse", "alpha")), ("l1", ("l1",))):
        job = JobSpec(target="", primitives="", loss=loss)
        assert tuple(name for name, _ in objective_of(job, cut_out, None, None).terms) == terms


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which every step adds how many sprites were pruned before it."""
    pruned: list[int] = []
    before_step = DiffBMP.before_step

    def counted(*arguments: Any) -> int:
        pruned.append(before_step(*arguments))
        return pruned[-1]

    monkeypatch.setattr(DiffBMP, "before_step", counted)
    return pruned


def _sampler(target: np.ndarray[Any, Any], sizes: tuple[float, float]) -> SpriteSampler:
    shapes = [measure_template(np.ones((8, 8, 4)))] * 2
    return SpriteSampler(target.astype(np.float64), shapes, 0.0, Group(300, range(2), sizes), False, SamplerSettings())
