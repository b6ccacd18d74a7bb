# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the command line share."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import smalti
from jobs import bitmaps, ramp, save, small_job

from smalti.engine.job.run import run_job


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with target.png and the folder of bitmaps `marks`."""
    save(tmp_path / "target.png", ramp(48, 32))
    bitmaps(tmp_path / "marks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job, not to be changed."""
    folder = tmp_path_factory.mktemp("done")
    run_job(small_job(folder), folder / "job")
    return folder / "job"


@pytest.fixture
def job(done: Path, tmp_path: Path) -> Path:
    """A finished job."""
    return shutil.copytree(done, tmp_path / "finished")


@pytest.fixture
def complaint(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail: exit status 2, nothing on stdout, and on stderr the one line that is returned."""

    def run_it(*arguments: object) -> str:
        capfd.readouterr()
        assert smalti(*arguments) == 2
        told = capfd.readouterr()
        assert told.out == ""
        assert re.fullmatch(r"smalti: [^\n]+\n", told.err), told.err
        assert "unexpectedly" not in told.err
        return told.err

    return run_it
