# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: a word that stands for settings, each of which can be changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.bridge.looks import LOOKS, PAINTERLY, Look, in_look
from smalti.bridge.settings import settings_of


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_settings_that_can_be_and_differ_from_their_defaults(look: Look) -> None:
    rows = settings_of(JobSpec)
    job = JobSpec("picture.png", "leaves", **in_look({"look": look})).checked()
    for name, value in LOOKS[look].settings.items():
        assert getattr(job, name) == value != rows[name].default


def test_the_first_look_is_every_settings_own_default() -> None:
    assert next(iter(LOOKS)) == PAINTERLY
    assert not LOOKS[PAINTERLY].settings
    assert JobSpec("picture.png", "leaves").look == PAINTERLY


def test_what_is_given_counts_more_than_the_look() -> None:
    assert in_look({"look": "collage", "shade": 0.1})["shade"] == 0.1
    assert in_look({"look": "collage", "alpha_min": 0.0})["alpha_min"] == 0.0


def test_a_job_file_may_name_a_look_and_leave_its_settings_out(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    job = {"format": "smalti-job", "version": 1, "target": "a.png", "primitives": "b", "look": "collage", "cover": 0.0}
    path.write_text(json.dumps(job), encoding="utf-8")
    read = read_job(path)
    assert (read.alpha_min, read.shade, read.cover) == (1.0, LOOKS["collage"].settings["shade"], 0.0)
    write_job(path, read)
    assert read_job(path) == read


@pytest.mark.parametrize("look", ["Collage", "", 3, None, ["collage"]])
def test_an_unknown_look_is_refused_by_its_name(tmp_path: Path, look: object) -> None:
    path = tmp_path / "job.json"
    job = {"format": "smalti-job", "version": 1, "target": "a.png", "primitives": "b", "look": look}
    path.write_text(json.dumps(job), encoding="utf-8")
    with pytest.raises(SmaltiError, match="look"):
        read_job(path)


@pytest.mark.parametrize("look", [look for look in LOOKS if look != "photomosaic"])
def test_every_look_but_the_grid_goes_with_a_text_that_can_be_read(look: Look) -> None:
    JobSpec("picture.png", **in_look({"look": look, "text": "to be read", "text_order": "reading"})).checked()
