# SPDX-License-Identifier: GPL-3.0-or-later
"""Visibility: every sprite's visible fraction is at least what the job asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import PALETTE, alpha_outside, drawn, gray, quick
from jobs import Floats, decibels, film, pixels_of, slow, small_job

from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template


def visible(composition: Composition, frame: int = 0) -> Floats:
    """[N]: the visible fraction of each sprite, by drawing every sprite alone and laying them down from the top."""
    header = composition.header
    transmittance = np.ones((header.height, header.width))
    fractions = np.zeros(header.sprites)
    for sprite in reversed(list(sprite_bitmaps(composition, frame))):
        template = composition.templates[composition.template[sprite.index]]
        rows, columns = sprite.rgba.shape[:2]
        top, left = max(0, -sprite.top), max(0, -sprite.left)
        down, across = min(rows, header.height - sprite.top), min(columns, header.width - sprite.left)
        if down <= top or across <= left:
            continue
        alpha = sprite.opacity * sprite.rgba[top:down, left:across, 3]
        under = transmittance[sprite.top + top : sprite.top + down, sprite.left + left : sprite.left + across]
        longer = max(template.width, template.height)
        area = 4 * composition.scale[frame, sprite.index] ** 2 * template.width * template.height / longer**2
        fractions[sprite.index] = (alpha * under).sum() / (area * template.coverage)
        under *= 1 - alpha
    return fractions


@pytest.mark.parametrize(
    "settings",
    [
        {},
        slow({"count": 250, "size": 64}),
        {"steps": 1},
        slow({"steps": 7}),
        slow({"blend_space": "linear", "colour_mix": 1.0}),
        slow({"alpha_max": 0.5}),
        slow({"preset": "published"}),
        {"palette": list(PALETTE), "rotation_steps": 4},
    ],
    ids=str,
)
def test_every_sprite_is_as_visible_as_required(
    ramp_file: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    usual = {name: value for name, value in settings.items() if name in ("count", "size", "steps", "blend_space")}
    assert visible(quick(ramp_file, templates, **usual)).min() < 0.2, "all are visible, so this test shows nothing"
    for least in (0.2, 0.4):
        composition = quick(ramp_file, templates, min_visibility=least, background="#808080", **settings)
        assert visible(composition).min() >= least
        # Hardly one is dropped where there is room for nearly all.
        assert 0.98 * settings.get("count", 60) <= composition.header.sprites <= settings.get("count", 60)


@pytest.mark.slow
def test_sprites_are_visible_inside_masks_and_outlines(
    ramp_file: Path, badge_file: Path, crescent_file: Path, templates: list[Template]
) -> None:
    for target, settings in (
        (ramp_file, {"keep_in": crescent_file, "background": "transparent"}),
        (badge_file, {"inside_outline": True}),
    ):
        composition = quick(target, templates, min_visibility=0.25, **settings)
        outline = gray(crescent_file) if "keep_in" in settings else pixels_of(badge_file)[..., 3]
        assert visible(composition).min() >= 0.25
        assert max(alpha_outside(composition, outline)) < 0.5


def test_visible_sprites_still_show_the_target(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, count=150, steps=150, min_visibility=0.25)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 31


def test_the_report_says_what_is_visible(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path, min_visibility=0.3), tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    assert outcome.report["least_visible"] == pytest.approx(visible(composition).min(), abs=1e-3)
    assert outcome.report["hidden"] == 0


def test_sprites_that_have_no_room_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Sixty sprites that each fill the canvas cannot all be visible: fewer are, and no heap is left."""
    job = small_job(tmp_path, count=60, min_visibility=0.3, min_size=90, max_size=120)
    outcome = run_job(job, tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    assert visible(composition).min() >= 0.3
    assert outcome.report["hidden"] == 0
    assert outcome.report["sprites"] == composition.header.sprites
    assert outcome.report["dropped"] == 60 - composition.header.sprites > 40
    assert f"{outcome.report['dropped']} of 60 sprites were dropped" in caplog.text


def test_a_fit_that_drops_sprites_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    job = small_job(tmp_path, count=60, min_visibility=0.3, min_size=30, max_size=60, steps=60)
    whole = run_job(job, tmp_path / "whole")
    for stop_after in (45, 57):
        out = tmp_path / f"resumed-{stop_after}"
        run_job(job, out, should_stop=iter([*[False] * stop_after, *[True] * 60]).__next__)
        resumed = resume_job(out)
        assert resumed.report["dropped"] == whole.report["dropped"] > 0
        first, second = load_composition(tmp_path / "whole"), load_composition(out)
        for name in ("template", "x", "y", "scale", "opacity", "tint"):
            assert (getattr(first, name) == getattr(second, name)).all(), name


def test_the_first_frame_of_a_film_shows_every_sprite(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")), steps=40, min_visibility=0.25)
    outcome = run_job(job, tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    least = [float(visible(composition, frame).min()) for frame in range(3)]
    assert least[0] >= 0.25
    assert outcome.report["least_visible"] == pytest.approx(least, abs=1e-3)
    assert len(outcome.report["hidden"]) == 3
