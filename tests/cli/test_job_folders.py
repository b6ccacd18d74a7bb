# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders that are not as they should be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import Complaint, edit, smalti
from jobs import arrays_of, contents, small_job

from smalti.engine.job.run import run_job


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour_mix": float("nan")}, "NaN"),
        ({"sparkle": True}, "unknown key 'sparkle'"),
        ({"version": 99}, "is version 99"),
        ({"count": "many"}, "'count' must be a whole number"),
        ({"count": 0}, "count is 0"),
        ({"format": "recipe"}, "is not a smalti-job file"),
    ],
)
def test_a_job_file_that_cannot_be(job: Path, complaint: Complaint, changes: dict[str, Any], named: str) -> None:
    edit(job / "job.json", **changes)
    before = contents(job)
    assert named in complaint("resume", job)
    assert contents(job) == before


def test_a_job_file_with_a_relative_path_is_looked_for_in_the_current_folder(here: Path, complaint: Complaint) -> None:
    out = here / "out"
    asked = small_job(here / "pictures")
    stop = iter([False, True])
    run_job(asked, out, should_stop=lambda: next(stop))
    edit(out / "job.json", target="pictures/target.png", primitives="gone")
    os.chdir(out)
    assert "pictures/target.png: does not exist" in complaint("resume", out)
    os.chdir(here)
    assert smalti("resume", out) == 0


def test_resume_of_a_finished_job(job: Path, complaint: Complaint) -> None:
    assert "this job is finished" in complaint("resume", job)


def test_resume_without_a_job(here: Path, complaint: Complaint) -> None:
    assert "marks: holds no Smalti job" in complaint("resume", "marks")


def test_resume_from_a_damaged_checkpoint(job: Path, complaint: Complaint) -> None:
    (job / "checkpoint.npz").write_bytes((job / "frames.npz").read_bytes()[:-100])
    assert "checkpoint.npz: cannot be read" in complaint("resume", job)
    shutil.copy(job / "frames.npz", job / "checkpoint.npz")
    assert "checkpoint.npz: does not fit its job" in complaint("resume", job)


def edit_arrays(job: Path, **changes: Any) -> None:
    """Replace some arrays of a finished job."""
    arrays: dict[str, Any] = {**arrays_of(job), **changes}
    np.savez(job / "frames.npz", **arrays)


@pytest.mark.parametrize("command", [("render",), ("export", "--psd")], ids=["render", "export"])
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda job: edit(job / "composition.json", version=99), "composition.json: is version 99"),
        (lambda job: edit(job / "composition.json", sparkle=1), "composition.json: unknown key 'sparkle'"),
        (lambda job: edit(job / "composition.json", background="#12"), "'background' is out of range"),
        (lambda job: (job / "composition.json").unlink(), "holds no finished composition"),
        (lambda job: (job / "templates" / "0001.png").unlink(), "0001.png: does not exist"),
        (lambda job: (job / "frames.npz").write_bytes(b"PK"), "frames.npz: cannot be read"),
        (lambda job: np.savez(job / "frames.npz", x=np.zeros(3)), "frames.npz: the array 'template' is missing"),
        (
            lambda job: edit_arrays(job, y=np.full((1, 24), np.nan)),
            "frames.npz: 'y' holds a value that is not a finite number",
        ),
        (
            lambda job: edit_arrays(job, x=np.array([{}], dtype=object)),
            "frames.npz: cannot be read (Object arrays cannot be loaded",
        ),
    ],
)
def test_a_composition_that_cannot_be(
    job: Path, complaint: Complaint, command: tuple[str, ...], spoil: Callable[[Path], Any], named: str
) -> None:
    spoil(job)
    before = contents(job)
    assert named in complaint(*command, job)
    assert contents(job) == before
