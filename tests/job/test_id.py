# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's id: the same for as long as it is the same job, whatever happens to the process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from jobs import contents, small_job
from runs import stopped

from smalti.bridge.composition import read_header
from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import read_id, read_job, write_job
from smalti.engine.job import run
from smalti.engine.job.run import resume_job, run_job


def id_in(folder: Path) -> str:
    """The id of a finished job, which both of its files have."""
    found = read_header(folder).id
    assert found == read_id(folder / "job.json")
    return found


def test_every_new_folder_is_another_job(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    for name in ("a", "b"):
        run_job(job, tmp_path / name)
    assert id_in(tmp_path / "a") != id_in(tmp_path / "b")
    assert len(id_in(tmp_path / "a")) == 32


def test_a_job_is_the_same_over_resuming_replacing_and_moving_it(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    stopped(job, tmp_path / "job", 4)
    begun = id_in(tmp_path / "job")
    (tmp_path / "job").rename(tmp_path / "moved")
    resume_job(tmp_path / "moved")
    assert id_in(tmp_path / "moved") == begun
    run_job(small_job(tmp_path, seed=3), tmp_path / "moved", overwrite=True)
    assert id_in(tmp_path / "moved") == begun


def test_a_process_killed_at_any_moment_of_replacing_a_job_leaves_its_id_and_settings_of_one_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "job"
    run_job(small_job(tmp_path), out)
    begun, seen = id_in(out), []

    def looking(name: str) -> None:
        """What a process would leave that is killed before or after this function."""
        function = getattr(run, name)

        def watched(*args: object) -> object:
            seen.append((read_id(out / "job.json"), read_job(out / "job.json").seed))
            result = function(*args)
            seen.append((read_id(out / "job.json"), read_job(out / "job.json").seed))
            return result

        monkeypatch.setattr(run, name, watched)

    for name in ("Fingerprints", "save_templates", "write_checkpoint", "save_composition"):
        looking(name)
    run_job(small_job(tmp_path, seed=3), out, overwrite=True)
    assert seen == [(begun, 0)] * 2 + [(begun, 3)] * 6


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "not begun"])
def test_a_fit_that_cannot_begin_leaves_the_settings_and_id_of_the_job_that_it_would_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    out = tmp_path / "job"
    if finished:
        run_job(small_job(tmp_path), out)
    else:
        out.mkdir()
        write_job(out / "job.json", small_job(tmp_path), "abc")
    before = (out / "job.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(run, "write_checkpoint", full)
    with pytest.raises(OSError, match="full"):
        run_job(small_job(tmp_path, seed=3), out, overwrite=True)
    assert (out / "job.json").read_bytes() == before
    assert set(contents(out)) == {"engine.log", "job.json"}


def test_a_job_that_has_not_begun_keeps_its_id_when_it_is_run(tmp_path: Path) -> None:
    out = tmp_path / "job"
    out.mkdir()
    write_job(out / "job.json", small_job(tmp_path), "abc")
    run_job(read_job(out / "job.json"), out, overwrite=True)
    assert id_in(out) == "abc"


def test_a_job_of_an_older_version_gets_an_id_when_it_goes_on(tmp_path: Path) -> None:
    stopped(small_job(tmp_path), tmp_path / "old", 4)
    for name in ("job.json", "composition.json"):
        path = tmp_path / "old" / name
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "id"}))
    assert read_header(tmp_path / "old").id == read_id(tmp_path / "old" / "job.json") == ""
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    for name in ("old", "copy"):
        resume_job(tmp_path / name)
    assert len({id_in(tmp_path / "old"), id_in(tmp_path / "copy")}) == 2


def test_the_id_is_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    write_job(path, JobSpec(target="a.png", primitives="b"), "abc")
    assert read_job(path) == JobSpec(target="a.png", primitives="b")
    assert read_id(path) == "abc"
    for text in ("", "[1]", '{"id": 3}', '{"id'):
        path.write_text(text)
        assert read_id(path) == ""
    assert read_id(tmp_path / "missing.json") == ""
