# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that stops at a likeness."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs import film, small_job
from runs import Recorder, same_result, stopped

from smalti.engine.job.run import LIKENESS_STEPS, resume_job, run_job


def test_a_fit_stops_when_it_is_like_enough(tmp_path: Path) -> None:
    whole = run_job(small_job(tmp_path, steps=80), tmp_path / "whole").report
    assert "reached" not in whole
    until = whole["psnr"] - 3
    recorder = Recorder()
    report = run_job(small_job(tmp_path, steps=80, until=until), tmp_path / "job", listener=recorder).report
    assert report["reached"]
    assert report["until"] == until
    assert until <= report["psnr"] < whole["psnr"]
    assert report["steps"] < 80
    assert report["steps"] % LIKENESS_STEPS == 0
    assert not report["cancelled"]
    assert not (tmp_path / "job" / "checkpoint.npz").exists()


def test_a_likeness_that_is_not_reached_is_reported(tmp_path: Path) -> None:
    report = run_job(small_job(tmp_path, until=90.0), tmp_path / "job").report
    assert not report["reached"]
    assert report["steps"] == 12


@pytest.mark.parametrize("after", [6, 30])
def test_each_frame_of_a_film_stops_and_a_resumed_one_at_the_same_step(tmp_path: Path, after: int) -> None:
    path = str(film(tmp_path / "film"))
    job = small_job(tmp_path, target=path, steps=60, frame_steps=20, until=15.0)
    report = run_job(job, tmp_path / "whole").report
    assert report["steps"] < 100
    assert report["reached"] == all(psnr >= 15 for psnr in report["psnr_frames"])
    stopped(job, tmp_path / "half", min(after, report["steps"] - 2))
    again = resume_job(tmp_path / "half").report
    assert same_result(tmp_path / "half", tmp_path / "whole")
    assert again["steps"] == report["steps"]
