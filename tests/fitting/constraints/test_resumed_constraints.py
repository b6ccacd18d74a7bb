# SPDX-License-Identifier: GPL-3.0-or-later
"""All constraints together: a job that was stopped is resumed to the same end, and is within them when it stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from fits import PALETTE, alpha_outside, colors_of, gray, levels_of
from jobs import film, ramp, save, small_job
from runs import same_result, stopped

from smalti.bridge.job import JobSpec
from smalti.engine.composition import load_composition
from smalti.engine.job.run import resume_job, run_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, crescent_file: Path) -> JobSpec:
    """The job of a film with every constraint."""
    folder = tmp_path_factory.mktemp("constrained")
    return small_job(
        folder,
        target=str(film(folder / "film")),
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


@pytest.fixture(scope="module")
def whole(job: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that job, made in one go."""
    folder = tmp_path_factory.mktemp("whole") / "job"
    run_job(job, folder)
    return folder


@pytest.mark.parametrize("after", [3, 22, 33, 49, 57])
@pytest.mark.slow
def test_a_stopped_job_with_constraints_is_resumed_to_the_same_end(
    job: JobSpec, whole: Path, tmp_path: Path, after: int
) -> None:
    stopped(job, tmp_path / "job", after)
    resume_job(tmp_path / "job")
    assert same_result(whole, tmp_path / "job")


@pytest.mark.slow
def test_a_stopped_job_on_a_coarse_canvas_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    """Sprites that are relocated before a step were chosen on the canvas of the step before."""
    target = save(tmp_path / "large.png", ramp(256, 192))
    job = small_job(tmp_path, target=str(target), steps=100, count=60, palette=PALETTE, background="#808080")
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", 24)
    resume_job(tmp_path / "job")
    assert same_result(tmp_path / "whole", tmp_path / "job")


def test_a_stopped_job_keeps_its_constraints(tmp_path: Path, crescent_file: Path) -> None:
    job = small_job(tmp_path, palette=PALETTE, rotation_steps=4, keep_in=str(crescent_file), background="transparent")
    assert run_job(job, tmp_path / "job", should_stop=lambda: True).cancelled
    composition = load_composition(tmp_path / "job")
    assert {tuple(levels) for levels in levels_of(composition)[0].tolist()} <= colors_of(PALETTE)
    assert max(alpha_outside(composition, gray(crescent_file))) < 0.5
