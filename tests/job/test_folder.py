# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a new job, and two processes at once in one folder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jobs import (
    bitmaps,
    contents,
    film,
    small_job,
)
from runs import BITMAPS, FINISHED, Recorder, refused, same_result

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import RegionSpec
from smalti.bridge.job_file import read_job
from smalti.engine.composition import load_composition
from smalti.engine.job import run
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job

# What is in the way of a new job.


def test_the_folder_of_another_job_stays_as_it_is(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "job")
    before = contents(tmp_path / "job")
    assert refused(lambda: run_job(replace(job, seed=1), tmp_path / "job")).code == "output_holds_job"
    assert contents(tmp_path / "job") == before


def test_a_folder_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    for overwrite in (False, True):
        fault = refused(partial(run_job, small_job(tmp_path), tmp_path / "letters", overwrite=overwrite))
        assert fault.code == "output_not_empty"
    assert contents(tmp_path / "letters") == {"dear.txt": b"Dear"}


def test_a_file_in_the_place_of_the_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "file")).code == "output_not_folder"
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "file" / "job")).code == "cannot_write"
    assert (tmp_path / "file").read_text() == "here"


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    run_job(small_job(tmp_path), tmp_path / "job")
    assert (tmp_path / "job" / "report.json").exists()


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run_job(small_job(tmp_path), tmp_path / "link")
    assert (tmp_path / "real" / "report.json").exists()


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "link")).code == "cannot_write"
    assert not (tmp_path / "nowhere").exists()


def test_the_job_may_lie_inside_the_folder_of_primitives(tmp_path: Path) -> None:
    folder = bitmaps(tmp_path / "bitmaps")
    run_job(small_job(tmp_path, primitives=str(folder)), folder / "job")
    assert len(load_composition(folder / "job").templates) == 2


def test_overwriting_replaces_the_job_and_keeps_what_is_not_of_a_job(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film"))), tmp_path / "job")
    (tmp_path / "job" / "notes.txt").write_text("mine")
    run_job(small_job(tmp_path), tmp_path / "job", overwrite=True)
    present = set(contents(tmp_path / "job"))
    assert present == FINISHED | BITMAPS | {"notes.txt"}
    assert not (tmp_path / "job" / "render").exists()
    assert len((tmp_path / "job" / "engine.log").read_text().splitlines()) == 2


@pytest.mark.parametrize("change", [{"target": "missing.png"}, {"primitives": "missing"}, {"count": 0}], ids=str)
def test_a_job_that_cannot_begin_leaves_the_one_it_would_replace(tmp_path: Path, change: dict[str, Any]) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    refused(lambda: run_job(small_job(tmp_path, **change), tmp_path / "job", overwrite=True))
    assert contents(tmp_path / "job") == before


@pytest.mark.parametrize(
    "name", ["target", "primitives", "background", "target_mask", "keep_in", "keep_out", "weight_map"]
)
def test_a_job_does_not_replace_its_own_pictures(tmp_path: Path, name: str) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    inside = tmp_path / "job" / ("templates" if name == "primitives" else "render.png")
    (tmp_path / "link").symlink_to(inside)
    for path in (inside, tmp_path / "link"):
        job = small_job(tmp_path, **{name: str(path)})
        fault = refused(partial(run_job, job, tmp_path / "job", overwrite=True))
        assert fault.code == "input_in_output"
        assert str(path) in fault.message
    assert contents(tmp_path / "job") == before


@pytest.mark.parametrize("name", ["mask", "primitives"])
def test_a_job_does_not_replace_the_pictures_of_its_regions(tmp_path: Path, name: str) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    inside = tmp_path / "job" / ("templates" if name == "primitives" else "render.png")
    paths: dict[str, Any] = {"mask": str(tmp_path / "target.png"), name: str(inside)}
    region = RegionSpec(count=3, **paths)
    fault = refused(lambda: run_job(small_job(tmp_path, regions=(region,)), tmp_path / "job", overwrite=True))
    assert fault.code == "input_in_output"
    assert str(inside) in fault.message
    assert contents(tmp_path / "job") == before


# Two at once.


@pytest.mark.parametrize("work", ["run", "overwrite", "resume"])
def test_a_second_process_does_not_touch_a_job_at_work(tmp_path: Path, work: str) -> None:
    job, out = small_job(tmp_path), tmp_path / "job"
    faults: list[SmaltiError] = []

    def intrude() -> None:
        before = contents(out)
        if work == "resume":
            faults.append(refused(lambda: resume_job(out)))
        else:
            faults.append(refused(lambda: run_job(job, out, overwrite=work == "overwrite")))
        after = contents(out)
        # Both jobs run in this process and share its log, which only grows.
        assert after.pop("engine.log").startswith(before.pop("engine.log"))
        assert after == before

    run_job(job, tmp_path / "whole")
    run_job(job, out, listener=Recorder(5, intrude))
    assert [fault.code for fault in faults] == ["output_holds_job" if work == "run" else "job_busy"]
    assert same_result(out, tmp_path / "whole")


def test_two_that_find_the_folder_free_do_not_both_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looks before the first has written anything, and starts to write when the first is done."""
    job, out = small_job(tmp_path), tmp_path / "job"

    def slowly(*args: Any) -> Any:
        monkeypatch.setattr(run, "read_inputs", read_inputs)
        run_job(replace(job, seed=9), out)
        return read_inputs(*args)

    monkeypatch.setattr(run, "read_inputs", slowly)
    assert refused(lambda: run_job(job, out)).code == "output_holds_job"
    assert read_job(out / "job.json").seed == 9
    assert set(contents(out)) == FINISHED | BITMAPS


def test_a_new_job_waits_for_none_that_is_done(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    for overwrite in (False, True, True):
        run_job(job, tmp_path / "job", overwrite=overwrite)
