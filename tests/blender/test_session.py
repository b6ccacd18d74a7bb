# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist is told: gray buttons, progress, warnings, faults; and a job that outlives a change of file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from blenders import Blender

pytestmark = [pytest.mark.blender, pytest.mark.slow]


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """A program that is started like the engine's Python and behaves as fake_worker.py says."""
    if os.name == "nt":
        pytest.skip("a shell script stands for Python")
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("fake_worker.py")}"\n')
    path.chmod(0o755)
    return path


def _told(blender: Blender, tmp_path: Path, python: Path, until_timer_ends: bool = False, **settings: Any) -> Any:
    settings = {"target": tmp_path / "a.png", "primitives": tmp_path, "output": tmp_path / "job", **settings}
    return blender.run("tell", python=python, settings=settings, until_timer_ends=until_timer_ends)


def test_grey_buttons_say_why(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("polls", folder=tmp_path)
    assert result["new scene"] == {
        "fit": "Choose a target first",
        "cancel": "No job is running",
        "resume": "The output folder holds no interrupted job",
        "export_psd": "Choose an engine in the add-on's preferences first",
        "match_colours": "Import layers first",
        "restore_settings": "Colors were not matched in this scene",
        "check_engine": "Choose an engine first",
        "remove_region": "There are no regions",
        "move_region": "There is no other region",
    }
    assert result["nothing to build with"] == "Choose a folder of bitmaps first, or type a text"
    assert result["letters"] == result["bitmaps"] == "Choose an engine in the add-on's preferences first"
    assert result["no engine"] == "Choose an engine in the add-on's preferences first"
    assert result["export without a job"] == "The output folder holds no finished job"
    assert "not saved yet" in result["relative path in an unsaved file"]
    assert "Size is 5" in result["setting out of range"]
    assert "Count is 0" in result["no sprites"]
    assert result["region without a mask"] == "Choose a mask for region 2 first"
    assert "Mask of region 2" in result["relative mask in an unsaved file"]
    assert (
        "Smallest Sprite of region 2 is 50, but must be at most Largest Sprite (20)"
        in result["sizes of a region the wrong way round"]
    )
    assert result["bitmaps for one of two regions"] == "Choose a folder of bitmaps first, or type a text"
    assert (
        "Smallest Sprite of region 2 is 50, but must be at most Largest Sprite (20)"
        in result["bitmaps for both regions"]
    )


def test_progress_result_and_warnings_are_shown(blender: Blender, tmp_path: Path, fake_python: Path) -> None:
    result = _told(blender, tmp_path, fake_python, seed=0)
    assert result["text"] == "job: finished, 1,000 sprites, 3 s."
    assert result["warnings"] == ["broken.png: is cut short."]
    assert result["drawing"] == []


@pytest.mark.oldest_and_newest
def test_fault_is_shown_with_its_hint(blender: Blender, tmp_path: Path, fake_python: Path) -> None:
    result = _told(blender, tmp_path, fake_python, seed=1)
    assert (result["text"], result["hint"], result["failed"]) == ("There is no target.", "Choose another.", True)
    assert "Choose another." in result["labels"]


@pytest.mark.oldest_and_newest
def test_fault_names_a_setting_as_the_panel_does(blender: Blender, tmp_path: Path, fake_python: Path) -> None:
    result = _told(blender, tmp_path, fake_python, seed=4)
    assert (result["text"], result["hint"]) == ("Size is 5.", "Raise Size.")


@pytest.mark.oldest_and_newest
def test_engine_that_dies_is_told_with_the_tail_of_its_log(blender: Blender, tmp_path: Path, fake_python: Path) -> None:
    result = _told(blender, tmp_path, fake_python, until_timer_ends=True, seed=3)
    assert result["failed"]
    assert "exit status 7" in result["text"]
    assert "the last words" in result["hint"]
    assert result["timer"] is False, "the timer must end with the engine"


@pytest.mark.oldest_and_newest
@pytest.mark.parametrize("seed", [1, 3])
def test_a_fault_says_that_the_job_can_go_on(blender: Blender, tmp_path: Path, fake_python: Path, seed: int) -> None:
    (tmp_path / "job").mkdir()
    for name in ("job.json", "checkpoint.npz"):
        (tmp_path / "job" / name).touch()
    result = _told(blender, tmp_path, fake_python, until_timer_ends=seed == 3, seed=seed)
    assert "Resume goes on" in result["hint"].splitlines()[{1: 1, 3: 0}[seed]]


@pytest.mark.oldest_and_newest
def test_python_that_is_missing_is_told(blender: Blender, tmp_path: Path) -> None:
    result = _told(blender, tmp_path, tmp_path / "nowhere" / "python", seed=0)
    assert result["failed"]
    assert "nowhere" in result["text"]
    assert result["hint"]


@pytest.mark.oldest_and_newest
def test_python_without_an_engine_is_told(blender: Blender, tmp_path: Path) -> None:
    result = _told(blender, tmp_path, blender.python, seed=0)
    assert result["failed"]
    assert "not installed" in result["text"]


def test_job_outlives_a_new_file_and_an_idle_engine_is_let_go(
    blender: Blender, tmp_path: Path, fake_python: Path
) -> None:
    settings = {"target": tmp_path / "a.png", "primitives": tmp_path, "output": tmp_path / "job", "seed": 2}
    result = blender.run("new_file", python=fake_python, settings=settings)
    assert result["running"] == [3, 10]
    assert result["after_new"] == [3, 10]
    assert result["output"] == str(tmp_path / "job")
    assert result["timer_after_new"]
    assert result["heard_while_rendering"] is False
    assert result["text"] == "job: canceled, nothing was kept."
    assert result["alive_when_idle"] is False
    assert result["timer_when_idle"] is False


@pytest.mark.oldest_and_newest
def test_a_job_goes_beside_the_file_where_no_output_is_chosen(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("outputs", folder=tmp_path)
    assert result["unsaved"] == str(tmp_path / "jobs" / "my cat")
    assert (result["first"], result["second"]) == ("//smalti/my cat", "//smalti/my cat 2")
    assert Path(result["absolute"]) == tmp_path / "smalti" / "my cat 2"
    assert not Path(result["jobs"]).is_relative_to(result["removed"]), "jobs would go with the extension"
