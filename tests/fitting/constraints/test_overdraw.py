# SPDX-License-Identifier: GPL-3.0-or-later
"""Overdraw: how many layers there are over a point, and how evenly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import quick
from jobs import save, slow, small_job
from runs import stopped

from smalti.bridge.job import JobSpec
from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template


def layers(composition: Composition) -> tuple[float, float]:
    """Mean number of layers over a pixel, and their relative deviation, by drawing every sprite alone."""
    height, width, beyond = composition.header.height, composition.header.width, 1000
    counted = np.zeros((height + 2 * beyond, width + 2 * beyond))
    for sprite in sprite_bitmaps(composition):
        top, left = sprite.top + beyond, sprite.left + beyond
        rows, columns = sprite.rgba.shape[:2]
        counted[top : top + rows, left : left + columns] += sprite.opacity * sprite.rgba[..., 3]
    on_canvas = counted[beyond:-beyond, beyond:-beyond]
    return float(on_canvas.mean()), float(on_canvas.std() / on_canvas.mean())


DENSE: Mapping[str, Any] = {"count": 150, "steps": 120}


@pytest.fixture(scope="module")
def free(ramp_file: Path, templates: list[Template]) -> tuple[float, float]:
    """The layers of a fit without the constraint."""
    return layers(quick(ramp_file, templates, **DENSE))


@pytest.mark.parametrize("most", [0.8, slow(1.2)])
def test_layers_are_no_more_than_allowed(
    ramp_file: Path, templates: list[Template], free: tuple[float, float], most: float
) -> None:
    assert free[0] > 1.3 * most
    assert layers(quick(ramp_file, templates, max_overlap=most, **DENSE))[0] < 1.1 * most


@pytest.mark.slow
def test_layers_are_as_even_as_required(ramp_file: Path, templates: list[Template], free: tuple[float, float]) -> None:
    spreads = [layers(quick(ramp_file, templates, even_coverage=even, **DENSE))[1] for even in (0.3, 1.0)]
    assert free[1] > 1.3 * spreads[0] > 1.3 * spreads[1]


@pytest.mark.parametrize("settings", [{"max_overlap": 1.5}, {"even_coverage": 0.5}], ids=str)
def test_the_report_says_how_many_layers_there_are(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = run_job(small_job(tmp_path, **settings), tmp_path / "job")
    mean, spread = layers(load_composition(tmp_path / "job"))
    assert outcome.report["layers"] == pytest.approx(mean, rel=0.01)
    assert outcome.report["layers_spread"] == pytest.approx(spread, rel=0.01)


@pytest.fixture
def moving_outline(tmp_path: Path) -> JobSpec:
    """The job of a film whose sprites keep within an outline that moves to the right."""
    for frame in range(3):
        rgba = np.zeros((48, 64, 4), np.uint8)
        rgba[10:40, 4 + 14 * frame : 28 + 14 * frame] = (200, 120, 30 + 60 * frame, 255)
        save(tmp_path / "film" / f"{frame}.png", rgba)
    return small_job(tmp_path, target=str(tmp_path / "film"), inside_outline=True, even_coverage=0.5, steps=20)


def test_each_frame_is_reported_by_its_own_outline(tmp_path: Path, moving_outline: JobSpec) -> None:
    report = run_job(moving_outline, tmp_path / "film job").report
    still = replace(moving_outline, target=str(tmp_path / "film" / "0.png"))
    alone = run_job(still, tmp_path / "still job").report
    assert (report["layers"][0], report["layers_spread"][0]) == (alone["layers"], alone["layers_spread"])


def test_the_report_of_a_resumed_film_is_the_same(tmp_path: Path, moving_outline: JobSpec) -> None:
    whole = run_job(moving_outline, tmp_path / "whole").report
    stopped(moving_outline, tmp_path / "cut", 26)  # in the third frame
    resumed = resume_job(tmp_path / "cut").report
    assert [resumed[name] for name in ("layers", "layers_spread")] == [whole["layers"], whole["layers_spread"]]


def test_a_checkpoint_of_before_reports_were_kept_is_resumed(tmp_path: Path, moving_outline: JobSpec) -> None:
    whole = run_job(moving_outline, tmp_path / "whole").report
    stopped(moving_outline, tmp_path / "cut", 26)
    path = tmp_path / "cut" / "checkpoint.npz"
    with np.load(path, allow_pickle=False) as checkpoint:
        kept = {name: checkpoint[name] for name in checkpoint.files if not name.startswith("report")}
        assert len(kept) == len(checkpoint.files) - 3, "nothing was left out, so this test shows nothing"
    np.savez(path, **kept)
    resumed = resume_job(tmp_path / "cut").report
    assert len(resumed["layers"]) == 3
    assert resumed["layers"][2] == whole["layers"][2]
