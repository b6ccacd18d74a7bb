# SPDX-License-Identifier: GPL-3.0-or-later
"""All constraints together: a job that was stopped is resumed to the same end, and is within them when it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fits import PALETTE, alpha_outside, colors_of, gray, levels_of
from jobs import film, ramp, save, small_job
from runs import same_result, stopped

from smalti.engine.composition import load_composition
from smalti.engine.job.run import resume_job, run_job


def check_resumed(folder: Path, after: int, **settings: Any) -> None:
    """Run a job in one go, and again stopped after `after` steps and resumed; both give the same bits."""
    job = small_job(folder, **settings)
    run_job(job, folder / "whole")
    stopped(job, folder / "job", after)
    resume_job(folder / "job")
    assert same_result(folder / "whole", folder / "job")


@pytest.mark.parametrize("stop", [3, 22, 33, 49, 57])
def test_a_stopped_job_with_constraints_is_resumed_to_the_same_end(
    tmp_path: Path, crescent_file: Path, stop: int
) -> None:
    check_resumed(
        tmp_path,
        stop,
        target=str(film(tmp_path / "film")),
        steps=40,
        frame_steps=10,
        palette=PALETTE,
        rotation_steps=6,
        keep_in=str(crescent_file),
        background="transparent",
        min_visibility=0.2,
        max_overlap=1.5,
        even_coverage=0.2,
    )


def test_a_stopped_job_on_a_coarse_canvas_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    """Sprites that are relocated before a step were chosen on the canvas of the step before."""
    target = save(tmp_path / "large.png", ramp(256, 192))
    check_resumed(tmp_path, 24, target=str(target), steps=100, count=60, palette=PALETTE)


def test_a_stopped_job_keeps_its_constraints(tmp_path: Path, crescent_file: Path) -> None:
    job = small_job(tmp_path, palette=PALETTE, rotation_steps=4, keep_in=str(crescent_file), background="transparent")
    assert run_job(job, tmp_path / "job", should_stop=lambda: True).cancelled
    composition = load_composition(tmp_path / "job")
    assert {tuple(levels) for levels in levels_of(composition)[0].tolist()} <= colors_of(PALETTE)
    assert max(alpha_outside(composition, gray(crescent_file))) < 0.5
