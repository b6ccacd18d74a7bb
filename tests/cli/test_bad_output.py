# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about each output folder that cannot be; and a disk that fills up costs nothing but the wait."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from calls import QUICK, Complaint, smalti
from jobs import contents, fill, mounted

from smalti.engine.composition import read_arrays, write_arrays
from smalti.engine.job import run


def test_an_output_folder_that_holds_another_job(here: Path, job: Path, complaint: Complaint) -> None:
    before = contents(job)
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", job, *QUICK)
    assert "holds another job" in line
    assert contents(job) == before


def test_an_output_folder_with_other_files(here: Path, complaint: Complaint) -> None:
    before = contents(here)
    for options in ((), ("--overwrite",)):
        assert f"{here / 'marks'}: is not empty" in complaint(
            "fit", "target.png", "--primitives", "marks", "--out", here / "marks", *QUICK, *options
        )
    assert contents(here) == before


def test_the_targets_own_folder_as_output(here: Path, complaint: Complaint) -> None:
    assert ".: is not empty" in complaint("fit", "target.png", "--primitives", "marks", "--out", ".", *QUICK)


def test_an_output_folder_below_a_file(here: Path, complaint: Complaint) -> None:
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", "target.png/job", *QUICK)
    assert "target.png/job: cannot be created (Not a directory)" in line


def test_an_output_folder_with_a_name_too_long(here: Path, complaint: Complaint) -> None:
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", "new/" + "o" * 300, *QUICK)
    assert "File name too long" in line
    assert not (here / "new").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
def test_an_output_folder_where_nothing_can_be_created(here: Path, complaint: Complaint) -> None:
    assert "/proc/job: cannot be created" in complaint(
        "fit", "target.png", "--primitives", "marks", "--out", "/proc/job", *QUICK
    )


def test_a_read_only_disk(here: Path, complaint: Complaint) -> None:
    with mounted(here / "disk", "ro"):
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "disk/job", *QUICK)
    assert "disk/job: cannot be created (Read-only file system)" in line


def test_a_full_disk(here: Path, complaint: Complaint) -> None:
    with mounted(here / "disk", "size=256k") as disk:
        fill(disk)
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "disk/job", *QUICK)
        assert "No space left" in line
        assert "Free some space" in line
        assert set(contents(disk)) == {"filler"}


def test_a_disk_that_fills_up_on_the_way_keeps_a_job_that_goes_on_later(
    here: Path, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    writes = 0

    def nearly_full(path: Path, arrays: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_arrays(path, arrays)

    with monkeypatch.context() as full:
        full.setattr("smalti.engine.job.checkpoint.write_arrays", nearly_full)
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK)
    assert "checkpoint.npz: the disk is full. Free some space" in line
    assert int(read_arrays(here / "out" / "checkpoint.npz")["done"]) == 1
    assert smalti("resume", "out") == 0
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "whole", *QUICK) == 0
    assert (here / "out" / "frames.npz").read_bytes() == (here / "whole" / "frames.npz").read_bytes()
