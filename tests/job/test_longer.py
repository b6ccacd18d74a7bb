# SPDX-License-Identifier: GPL-3.0-or-later
"""Films that get more frames: they go on after the last one, as if they had had them from the beginning."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import contents, film, save, slow, small_job
from runs import Recorder, refused, same_result, stopped, without_log

from smalti.bridge.job_file import read_job
from smalti.engine import cli
from smalti.engine.job.run import resume_job, run_job


@pytest.mark.parametrize("settings", [{}, slow({"min_visibility": 0.2}), slow({"background": "transparent"})], ids=str)
def test_a_finished_film_goes_on_as_if_it_had_had_all_frames_from_the_beginning(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 3)), **settings)
    run_job(job, tmp_path / "job")
    film(tmp_path / "film", 5)
    run_job(job, tmp_path / "whole")
    recorder = Recorder()
    outcome = resume_job(tmp_path / "job", frames="1:", listener=recorder)
    assert recorder.losses, "more was fitted"
    assert len(recorder.losses) == 2 * 4, "and of the first three frames nothing"
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))
    whole = json.loads((tmp_path / "whole" / "report.json").read_text())
    for name in ("psnr", "psnr_frames", "steps", "frames", "legibility"):
        assert outcome.report[name] == whole[name]


def test_a_range_gets_a_later_end_and_again_a_later_one(tmp_path: Path) -> None:
    target = str(film(tmp_path / "film", 6))
    run_job(small_job(tmp_path, target=target, frames="2:3"), tmp_path / "job")
    run_job(small_job(tmp_path, target=target, frames="2:6"), tmp_path / "whole")
    assert cli.main(["resume", str(tmp_path / "job"), "--frames", "2:5"]) == 0
    assert read_job(tmp_path / "job" / "job.json").frames == "2:5"
    assert cli.main(["resume", str(tmp_path / "job"), "--frames", "2:6"]) == 0
    assert same_result(tmp_path / "job", tmp_path / "whole")


def test_an_interrupted_film_gets_more_frames_too_and_one_that_goes_on_can_be_interrupted(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 3)))
    stopped(job, tmp_path / "job", 14)
    film(tmp_path / "film", 5)
    run_job(job, tmp_path / "whole")
    recorder = Recorder()
    assert resume_job(tmp_path / "job", frames="1:4", listener=recorder, should_stop=recorder.after(7)).cancelled
    resume_job(tmp_path / "job")
    recorder = Recorder()
    assert resume_job(tmp_path / "job", frames="1:5", listener=recorder, should_stop=recorder.after(1)).cancelled
    assert (tmp_path / "job" / "checkpoint.npz").is_file()
    assert not (tmp_path / "job" / "last_frame.npz").exists()
    resume_job(tmp_path / "job")
    assert same_result(tmp_path / "job", tmp_path / "whole")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (None, "job_finished"),
        ("1:3", "job_finished"),
        ("1:2", "target_changed"),
        ("2:4", "bad_setting"),
        ("1:4:2", "bad_setting"),
        ("1:9", "bad_setting"),
        ("first", "bad_setting"),
    ],
)
def test_frames_that_do_not_go_on_are_refused_and_the_film_left_as_it_is(
    tmp_path: Path, frames: str | None, code: str
) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 4)), frames="1:3"), tmp_path / "job")
    before = without_log(tmp_path / "job")
    assert refused(partial(resume_job, tmp_path / "job", frames=frames)).code == code
    assert without_log(tmp_path / "job") == before


def test_a_film_whose_frames_have_changed_since_does_not_go_on(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 3))), tmp_path / "job")
    film(tmp_path / "film", 4)
    save(tmp_path / "film" / "02.png", np.full((48, 64, 3), 90, np.uint8))
    fault = refused(partial(resume_job, tmp_path / "job", frames="1:"))
    assert fault.code == "target_changed"
    assert "02.png" in fault.message


def test_a_still_does_not_go_on(tmp_path: Path) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    assert refused(partial(resume_job, tmp_path / "job", frames="1:")).code == "job_finished"
