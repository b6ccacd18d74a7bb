# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel follows from the table of settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from blenders import Blender

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.looks import LOOKS, PAINTERLY, in_look
from smalti.bridge.schema import to_mapping
from smalti.bridge.settings import settings_of

pytestmark = [pytest.mark.blender, pytest.mark.slow]

KINDS = {
    "settings": {
        "target": ['STRING', 'FILEPATH'],
        "primitives": ['STRING', 'DIRPATH'],
        "count": ['INT', 'NONE'],
        "size": ['INT', 'PIXEL'],
        "preset": ['ENUM', 'NONE'],
        "frame_rate": ['FLOAT', 'NONE'],
        "colour_mix": ['FLOAT', 'FACTOR'],
        "lock_scale": ['BOOLEAN', 'NONE'],
        "min_size": ['INT', 'PIXEL'],
        "palette": ['STRING', 'NONE'],
        "max_overlap": ['FLOAT', 'NONE'],
        "regions": ['COLLECTION', 'NONE'],
    },
    "region": {"mask": ['STRING', 'FILEPATH'], "count": ['INT', 'NONE'], "max_size": ['INT', 'PIXEL']},
}
"""What some properties are in files that artists have: Blender forgets the value of one that becomes something else."""


def test_every_setting_of_the_table_is_in_the_panel(blender: Blender, tmp_path: Path) -> None:
    given: dict[str, Any] = {"target": str(tmp_path / "a.png"), "primitives": str(tmp_path)}
    result = blender.run("panel", settings={**given, "text": "a"})
    assert result["faults"] == []
    in_panel = {name for name, one in settings_of(JobSpec).items() if one.page is not None}
    drawn = {name.removesuffix("_kept") for name in result["drawn"]}
    assert in_panel - drawn == {"regions"}, "a list of its own shows the regions"
    assert {f"use_{name}" for name, one in settings_of(JobSpec).items() if one.is_open_number and one.page} <= drawn
    assert set(settings_of(RegionSpec)) <= drawn
    for group, kinds in KINDS.items():
        assert {name: result["kinds"][group][name] for name in kinds} == kinds
    assert {"Color Mix", "Rotation", "Max Opacity"} <= set(result["texts"])
    assert "Smallest Sprite" in result["headings"]
    # As the table has it, but for the size of the canvas and the count of a region.
    job = JobSpec(**given, size=512, text="a", regions=(RegionSpec(given["target"], 200),))
    assert result["job"] == json.loads(json.dumps(to_mapping(job)))


def test_check_box_says_whether_a_number_is_left_open_and_keeps_it(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("open_numbers", folder=tmp_path)
    assert result["at first"] == [None, False, 10]
    assert result["checked"] == [10, True, 10]
    assert result["changed"] == [33, True, 10]
    assert result["unchecked"] == [None, False, 33]
    assert result["checked again"] == [33, True, 33]
    assert result["changed in gray"] == [44, True, 44]
    assert result["as in an older file"] == [None, False, 44]
    assert result["size at first"] == [512, True, 512]


@pytest.mark.oldest_and_newest
def test_a_job_comes_back_out_of_the_panel_as_it_went_in(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("there_and_back", folder=tmp_path)
    for name, (given, found) in result["jobs"].items():
        assert found == given, name
    assert result["not taken"] == ["primitives", "min_size", "until", "loss", "preset"]


def test_colors_of_a_palette_of_blenders_are_those_that_its_codes_say(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("palette", folder=tmp_path)
    assert result["none"] is None
    assert result["typed"] == ["#ff0080", "#336699"]
    assert result["made of the codes"] == ["#ff0080", "#336699"]
    assert result["changed"] == ["#ff0080", "#336699", "#66ff00"]
    assert result["removed"] == ["#336699", "#66ff00"]
    found, expected = result["first part"]
    assert found == expected, "as Blender itself keeps it"
    assert "has no colors" in result["empty"]
    assert "#rrggbb" in result["wrong code"]
    assert result["faults"] == []


@pytest.mark.oldest_and_newest
def test_choosing_a_look_sets_what_it_says_and_leaves_nothing_of_the_one_before(
    blender: Blender, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"target": str(tmp_path / "a.png"), "primitives": str(tmp_path)}
    jobs = blender.run("looks", settings=given)["jobs"]
    for look, found in zip((*LOOKS, PAINTERLY), jobs, strict=True):
        expected = json.loads(json.dumps(to_mapping(JobSpec(**given, size=512, **in_look({"look": look})))))
        # Blender keeps numbers in single precision.
        assert {n: round(v, 6) if isinstance(v, float) else v for n, v in found.items()} == expected


def test_no_label_is_cut_off_at_the_usual_width(blender: Blender, tmp_path: Path) -> None:
    settings = {"target": str(tmp_path / "a.png"), "primitives": str(tmp_path), "text": "a", "background": 'COLOUR'}
    widths = blender.run("panel", settings=settings)["widths"]
    assert len(widths) > 30
    # In a sidebar of 291 pixels, as Blender opens it. It leaves that much for what stands beside fields.
    assert {text: width for text, width in widths.items() if width > 86} == {}


@pytest.mark.oldest_and_newest
def test_the_panel_speaks_american_english(blender: Blender, tmp_path: Path) -> None:
    settings = {"target": str(tmp_path / "a.png"), "primitives": str(tmp_path)}
    said = blender.run("panel", settings=settings)["said"]
    assert len(said) > 100
    british = re.compile("colour|grey|towards|centre|metre|favour|(optim|minim|maxim|recogn)is", re.IGNORECASE)
    assert [text for text in said if british.search(text)] == []


def test_presets_hold_how_a_picture_is_made_and_survive_other_versions(blender: Blender, tmp_path: Path) -> None:
    result = blender.run("presets", folder=tmp_path)
    assert result["saved"] == {"count": 77, "shade": 0.5, "look": "CONFETTI", "palette": "#ff0080, #336699"}
    assert result["left out"] == []
    assert result["applied"] == [77, 0.5, 'CONFETTI', ["#ff0080", "#336699"], 12]
    assert result["kept"] == ["/a/picture.png", "/a/folder", "/a/job", 5]
    assert result["reset"] == 0, "what a preset does not say is at its default"
    assert result["from another version"] == [99, "DRAFT"]
    assert result["nothing ran"]
    assert "cannot be read" in result["damaged"]
    assert result["removed"]
