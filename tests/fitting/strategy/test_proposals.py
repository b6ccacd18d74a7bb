# SPDX-License-Identifier: GPL-3.0-or-later
"""Proposals: each brings the gain that was predicted, and fits find the right templates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimisers import SIZE, optimiser, settings
from PIL import Image

from smalti.engine.api import fit
from smalti.engine.arrays import Int64Array
from smalti.engine.composition.render import picture
from smalti.engine.fitting.groups import Group
from smalti.engine.fitting.initialise import SamplerSettings, SpriteSampler, measure_template
from smalti.engine.fitting.optimiser import Optimiser
from smalti.engine.fitting.strategy import Adaptive, proposals
from smalti.engine.fitting.strategy.importance import OptimalCandidates, evaluate, squared_error
from smalti.engine.fitting.strategy.proposals import ProposalSettings, propose
from smalti.engine.raster import StackPosition
from smalti.engine.templates import Template


def loss_of(o: Optimiser) -> float:
    return float(squared_error(o).mean() / 3)


def sampler_for(o: Optimiser, mix: float) -> SpriteSampler:
    rng = np.random.default_rng(8)
    shapes = [measure_template(rng.uniform(0, 1, (height, width, 4))) for height, width in ((9, 14), (30, 30), (16, 5))]
    target = rng.uniform(0, 1, (*SIZE, 4))
    return SpriteSampler(target, shapes, mix, Group(40, range(3), o.settings.size_range), False, SamplerSettings())


@pytest.mark.parametrize(("to_top", "to_bottom"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.3, 0.3)])
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_proposals_that_do_not_touch_bring_the_gain_that_was_predicted(
    mix: float, to_top: float, to_bottom: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Apart beyond every corner, so that no two sprites that change overlap.
    number = {0.0: 8, 0.5: 5, 1.0: 4}[mix]  # four each, whatever the mix
    apart = ProposalSettings(candidates=number, to_top=to_top, to_bottom=to_bottom, spacing=2.0, alpha_max=1.0)
    gains = []

    def remembered(*arguments: Any) -> OptimalCandidates:
        scores = evaluate(*arguments)
        gains.append(scores.gain)
        return scores

    accepted: list[Int64Array] = []
    spaced = proposals._spaced

    def recorded(*arguments: Any) -> Int64Array:
        accepted.append(spaced(*arguments))
        return accepted[-1]

    monkeypatch.setattr(proposals, "evaluate", remembered)
    monkeypatch.setattr(proposals, "_spaced", recorded)
    o = optimiser(True, settings(colour_mix=mix))
    before = loss_of(o)
    assert propose(o, [sampler_for(o, mix)], apart, np.random.default_rng(5)) == len(accepted[0]) >= 2
    predicted = gains[0][accepted[0]].sum()
    assert predicted > 0.005 * before
    # Single precision, and logits that stop short of 0 and 1.
    assert before - loss_of(o) == pytest.approx(predicted, rel=5e-3)


def test_substituted_sprites_move_within_the_stack_and_the_others_keep_their_order() -> None:
    o = optimiser(True, settings())
    before = o.sprites()
    which = np.array([3, 7, 9, 20, 31])
    position = np.array(
        [StackPosition.TOP, StackPosition.IN_PLACE, StackPosition.BOTTOM, StackPosition.TOP, StackPosition.BOTTOM]
    )
    new = replace(before.take(which), x=np.array([11.0, 12.0, 13.0, 14.0, 15.0]))
    o.parameters.substitute(which, new, position)
    after = o.sprites()
    staying = np.delete(np.arange(40), [3, 9, 20, 31])
    expected = before.x.copy()
    expected[7] = 12
    np.testing.assert_allclose(after.x[:2], [13, 15])
    np.testing.assert_allclose(after.x[2:38], expected[staying], rtol=1e-6)
    np.testing.assert_allclose(after.x[38:], [11, 14])
    order = np.concatenate([[9, 31], staying, [3, 20]])
    for name in ("template", "theta", "tint"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name)[order], rtol=1e-5)


def test_a_fit_finds_the_bitmaps_that_the_target_was_made_of(tmp_path: Path) -> None:
    """Discs of 16 colors: gradients alone cannot make one of another."""
    y, x = np.mgrid[0:40, 0:40] - 19.5
    alpha = (np.clip(18 - np.hypot(x, y), 0, 1) * 255).astype(np.uint8)
    rng = np.random.default_rng(3)
    colors = rng.integers(0, 256, (16, 3)).astype(np.uint8)
    discs = [Template(f"disc{i}", np.dstack([np.full((40, 40, 3), c, np.uint8), alpha])) for i, c in enumerate(colors)]
    target = colors[rng.integers(0, 16, (4, 4))].repeat(24, axis=0).repeat(24, axis=1)
    Image.fromarray(target).save(tmp_path / "target.png")

    def error(strategy: Adaptive) -> float:
        composition = fit(
            tmp_path / "target.png",
            discs,
            strategy=strategy,
            count=64,
            steps=120,
            colour_mix=1.0,
            seed=1,
            background="#808080",
        )
        return float(np.square(picture(composition)[..., :3] / 255.0 - target / 255.0).mean())

    assert error(Adaptive()) < 0.85 * error(Adaptive(proposals=ProposalSettings(candidates=0)))


def test_a_long_fit_has_no_more_rounds_than_it_needs() -> None:
    chosen = ProposalSettings()
    for steps in (40, 500, 12_000):
        rounds = sum(chosen.is_due(done, steps) for done in range(steps))
        assert min(steps / 10, 150) < rounds <= 260
    steps, interval = 1_000_000, chosen.interval_of(1_000_000)
    assert 150 < sum(chosen.is_due(done, steps) for done in range(0, steps, interval)) <= 260
    assert not any(
        chosen.is_due(done, steps) for done in range(steps // 4, steps // 4 + 3 * interval) if done % interval
    )
    assert not any(ProposalSettings(candidates=0).is_due(done, 500) for done in range(500))
