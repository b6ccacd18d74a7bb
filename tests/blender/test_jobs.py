# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of jobs in the panel: what is on disk, and what can be done with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blenders import Blender
from synthetic import write_bitmaps
from synthetic import write_job as write_composition

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.job_file import write_job
from smalti.bridge.schema import to_mapping

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def _jobs(folder: Path) -> JobSpec:
    """The folder smalti with the jobs cat (finished), dog (interrupted) and odd (not begun), and one of no job."""
    write_bitmaps(folder / "bitmaps")
    job = JobSpec(
        target=str(folder / "bitmaps" / "leaf.png"),
        primitives=str(folder / "bitmaps"),
        count=12,
        size=100,
        colour_mix=0.25,
        min_size=7,
        max_overlap=1.5,
        palette=("#102030", "#ffffff"),
        background="#d0c0a0",
        regions=(RegionSpec(str(folder / "bitmaps" / "ring.png"), 5, max_size=20, confine=True),),
        inside_outline=True,
    )
    write_composition(folder / "smalti" / "cat", count=12)
    write_job(folder / "smalti" / "cat" / "job.json", job, "abc")
    for name in ("dog", "odd"):
        (folder / "smalti" / name).mkdir()
        write_job(folder / "smalti" / name / "job.json", job)
    (folder / "smalti" / "dog" / "checkpoint.npz").touch()
    odd = replace(job, min_size="5mm", print_width="30cm", loss="l1")
    write_job(folder / "smalti" / "odd" / "job.json", odd)
    (folder / "smalti" / "notes").mkdir()
    (folder / "smalti" / "notes" / "mine.txt").write_text("mine")
    return job


def test_the_list_is_what_is_on_disk_and_each_job_can_be_worked_with(blender: Blender, tmp_path: Path) -> None:
    job = _jobs(tmp_path)
    result = blender.run("jobs_list", folder=tmp_path)
    states = {"cat": "finished", "dog": "interrupted", "odd": "not_begun"}
    assert result["first"] == states
    faults, labels = result["labels"]
    assert faults == []
    assert {"cat", "dog", "odd"} <= set(labels)
    assert result["duplicated"] == {**states, "cat 2": "not_begun"}
    assert result["chosen"] == "cat 2"
    assert result["taken"] == json.loads(json.dumps(to_mapping(job)))
    assert result["path"] == "//bitmaps/leaf.png"
    assert result["output"] == "", "the next fit would replace the job"
    assert (result["odd"]["loss"], result["odd"]["min_size"]) == ("mse", None)
    assert result["imported"] == ["cat"]
    assert all("notes" in text for text in result["no job"])
    assert "has begun already" in result["begun"]
    assert result["removed"] == {"dog": "interrupted", "odd": "not_begun"}
    assert sorted(path.name for path in (tmp_path / "smalti").iterdir()) == ["cat", "dog", "notes", "odd"]
    assert sorted(str(path.name) for path in (tmp_path / "smalti" / "cat" / "templates").iterdir()) == [
        "leaf.png", "ring.png", "tile.png",
    ]  # fmt: skip
    assert result["another file"] == {}


@pytest.mark.oldest_and_newest
def test_panels_and_polls_read_no_files(blender: Blender, tmp_path: Path) -> None:
    _jobs(tmp_path)
    shutil.rmtree(tmp_path / "smalti" / "odd")
    result = blender.run("no_files", folder=tmp_path)
    assert result["asked"] == []
    assert result["faults"] == []
    assert result["listed"] == ["cat", "dog"]
    assert result["polls"]["SMALTI_OT_import_layers"]
    assert not result["polls"]["SMALTI_OT_resume"]
    assert result["of an interrupted job"]["SMALTI_OT_resume"]


@pytest.mark.oldest_and_newest
def test_a_job_is_known_by_its_id_wherever_its_folder_is_and_in_older_files_by_its_folder(
    blender: Blender, tmp_path: Path
) -> None:
    folder, other = tmp_path / "job", tmp_path / "other"
    for each in (folder, other):
        write_composition(each, count=6, pictures=False)
    said = json.loads((folder / "composition.json").read_text())
    for name, job_id in (("older", ""), ("newer", "abc")):
        (tmp_path / f"{name}.json").write_text(json.dumps({**said, "id": job_id}))
    files: dict[str, Any] = {name: tmp_path / f"{name}.json" for name in ("older", "newer")}
    result = blender.run("import_moved", job=folder, moved=tmp_path / "moved", other=other, **files)
    assert result["older"] == [1, 7, [str(folder)]]
    assert result["again"] == [1, 7, ["abc"]]
    assert result["found"]
    assert result["moved"] == [1, 7, ["abc"]]
    assert result["folders"] == [str(tmp_path / "moved")]
    assert result["other"][:2] == [2, 14]
