# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that were stopped or killed and go on, and what keeps one from going on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import (
    contents,
    film,
    slow,
    small_job,
)
from runs import BITMAPS, FINISHED, Recorder, refused, refused_and_unchanged, same_result, stopped

from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.engine import cli
from smalti.engine.composition import load_composition, read_arrays, write_arrays
from smalti.engine.job.run import resume_job, run_job

# Stopped, and taken up again.


def test_a_stopped_job_is_a_valid_one_with_the_best_so_far(tmp_path: Path) -> None:
    outcome = stopped(small_job(tmp_path), tmp_path / "job", after=5)
    assert outcome.report["cancelled"]
    assert outcome.report["steps"] == 5
    present = set(contents(tmp_path / "job"))
    assert present == FINISHED | BITMAPS | {"checkpoint.npz"}
    assert load_composition(tmp_path / "job").header.sprites == 24


@pytest.mark.parametrize(
    ("after", "settings"),
    [
        (0, {"background": "transparent"}),
        slow(1, {"lock_scale": True, "colour_mix": 1.0}),
        (7, {"lock_scale": True, "colour_mix": 1.0}),
        slow(7, {}),
        (11, {"background": "transparent"}),
    ],
    ids=str,
)
def test_a_stopped_and_resumed_job_ends_as_if_nothing_had_happened(
    tmp_path: Path, after: int, settings: dict[str, Any]
) -> None:
    job = small_job(tmp_path, **settings)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", after)
    recorder = Recorder()
    outcome = resume_job(tmp_path / "job", listener=recorder)
    assert not outcome.cancelled
    assert outcome.report["steps"] == 12
    assert len(recorder.losses) == 12 - after
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))
    assert outcome.report["psnr"] == json.loads((tmp_path / "whole" / "report.json").read_text())["psnr"]


@pytest.mark.parametrize("after", [5, 12, 13, 16, 19])
def test_a_stopped_and_resumed_film_ends_as_if_nothing_had_happened(tmp_path: Path, after: int) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 3)))
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", after)
    frames = load_composition(tmp_path / "job").frames
    assert frames == (1 if after <= 12 else 2 if after <= 16 else 3)
    resume_job(tmp_path / "job")
    assert same_result(tmp_path / "job", tmp_path / "whole")


def test_a_job_can_be_stopped_and_resumed_again_and_again(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", 3)
    for _ in range(2):
        recorder = Recorder()
        assert resume_job(tmp_path / "job", listener=recorder, should_stop=recorder.after(3)).cancelled
    assert not resume_job(tmp_path / "job").cancelled
    assert same_result(tmp_path / "job", tmp_path / "whole")
    seconds = json.loads((tmp_path / "job" / "report.json").read_text())["seconds"]
    assert seconds > 0


KILLED = """
import os, signal, sys
sys.path[:] = {path!r}
from functools import partial
from pathlib import Path
from smalti.bridge.job_file import read_job
from smalti.engine.job import run
run.CHECKPOINT_SECONDS = 0.0
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
class Listener(run.NullListener):
    def progress(self, stage, done, total, loss, eta):
        if done == {step}:
            {do}
run.run_job(read_job(Path(sys.argv[1])), Path(sys.argv[2]), listener=Listener())
"""


def kill(job: JobSpec, out: Path, step: int, do: str) -> None:
    """Do a job in a process of its own that keeps a checkpoint of every step, and does `do` after one of them."""
    write_job(out.with_name("job.json"), job)
    script = KILLED.format(path=sys.path, step=step, do=do)
    done = subprocess.run([sys.executable, "-c", script, str(out.with_name("job.json")), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "report.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.slow
def test_a_job_killed_between_two_steps_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    kill(job, tmp_path / "job", 8, "die()")
    assert cli.main(["resume", str(tmp_path / "job")]) == 0
    assert "Resumed at step 7 of 12" in (tmp_path / "job" / "engine.log").read_text()
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.slow
def test_a_film_killed_while_it_wrote_its_checkpoint_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")))
    run_job(job, tmp_path / "whole")
    kill(job, tmp_path / "job", 15, "os.replace = die")
    assert [name for name in contents(tmp_path / "job") if name.startswith(".")]
    assert cli.main(["resume", str(tmp_path / "job")]) == 0
    assert "Resumed at step 14 of 20" in (tmp_path / "job" / "engine.log").read_text()
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))


# What cannot be resumed.


def test_a_finished_job_is_not_resumed(tmp_path: Path) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    assert refused_and_unchanged(tmp_path / "job").code == "job_finished"


def test_a_folder_without_a_job_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "empty"):
        assert refused(partial(resume_job, folder)).code == "no_job"
    assert not (tmp_path / "missing").exists()
    assert not contents(tmp_path / "empty")


def test_a_missing_checkpoint_is_named(half: Path) -> None:
    (half / "checkpoint.npz").unlink()
    (half / "composition.json").unlink()
    fault = refused_and_unchanged(half)
    assert fault.code == "bad_checkpoint"
    assert str(half / "checkpoint.npz") in fault.message


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_cut_checkpoint_is_named(half: Path, kept: int) -> None:
    path = half / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:kept])
    assert str(path) in refused_and_unchanged(half).message


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("names", lambda a: None),
        ("canvas", lambda a: None),
        ("seconds", lambda a: np.array("long")),
        ("adam.mean.x", lambda a: a[:10]),
        ("adam.square.tint", lambda a: None),
        ("aspect", lambda a: a[:-1]),
        ("frame", lambda a: np.array(7)),
        ("done", lambda a: None),
        ("sources.hashes", lambda a: None),
        ("sources.frame_hashes", lambda a: np.repeat(a, 2)),
        ("parameter.x", lambda a: a[:-1]),
        ("parameter.tint", lambda a: np.array(["red"] * len(a))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checkpoint_that_does_not_fit_its_job_is_named(half: Path, name: str, change: Callable[[Any], Any]) -> None:
    arrays = {**read_arrays(half / "checkpoint.npz")}
    arrays[name] = change(arrays[name])
    write_arrays(half / "checkpoint.npz", {n: a for n, a in arrays.items() if a is not None})
    fault = refused_and_unchanged(half)
    assert fault.code == "bad_checkpoint"
    assert str(half / "checkpoint.npz") in fault.message


def test_another_count_in_the_job_file_does_not_fit_the_checkpoint(half: Path) -> None:
    write_job(half / "job.json", replace(read_job(half / "job.json"), count=25))
    assert refused_and_unchanged(half).code == "bad_checkpoint"


def test_a_target_that_is_gone_is_named_and_once_back_the_job_goes_on(half: Path) -> None:
    target = Path(read_job(half / "job.json").target)
    target.rename(target.with_name("away.png"))
    assert str(target) in refused_and_unchanged(half).message
    target.with_name("away.png").rename(target)
    assert not resume_job(half).cancelled


def test_a_bitmap_missing_from_the_job_is_named(half: Path) -> None:
    (half / "templates" / "0002.png").unlink()
    assert str(half / "templates" / "0002.png") in refused_and_unchanged(half).message


def test_the_folder_of_primitives_is_not_needed_to_resume(half: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "primitives").iterdir():
        file.unlink()
    assert not resume_job(half).cancelled
