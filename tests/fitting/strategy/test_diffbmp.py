# SPDX-License-Identifier: GPL-3.0-or-later
"""The DiffBMP baseline: its hyperparameters, and that the adaptive strategy comes closer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import decibels, pixels_of, slow

from smalti.engine.fitting.groups import Group
from smalti.engine.fitting.initialise import SamplerSettings, SpriteSampler, measure_template
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


def test_the_baseline_keeps_the_stack_and_prunes_what_stays_faint(
    ramp_file: Path, templates: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned: list[int] = []
    before_step = DiffBMP.before_step

    def counted(*arguments: Any) -> int:
        pruned.append(before_step(*arguments))
        return pruned[-1]

    monkeypatch.setattr(DiffBMP, "before_step", counted)
    composition = quick(ramp_file, templates, steps=40, preset="published")
    np.testing.assert_array_equal(composition.template, np.arange(60) % 2)
    assert pruned[20] > 0
    assert sum(pruned) == pruned[20]
