# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions in the panel: the list as an artist works it, and the job that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from blenders import Blender

from smalti.bridge.job import RegionSpec
from smalti.bridge.rules import MAX_REGIONS
from smalti.bridge.schema import to_mapping

pytestmark = [pytest.mark.blender, pytest.mark.slow]


@pytest.mark.oldest_and_newest
def test_regions_are_listed_reordered_kept_in_the_file_and_handed_to_the_job(blender: Blender, tmp_path: Path) -> None:
    masks = [tmp_path / "sky.png", "//masks/face.png", "//eyes.png"]
    settings = {
        "target": tmp_path / "a.png",
        "primitives": tmp_path,
        "count": 0,
        "regions": [
            {"mask": masks[0]},
            {"mask": masks[1], "count": 800, "min_size": 4, "max_size": 20, "primitives": "//petals"},
            {"mask": masks[2], "confine": True},
        ],
    }
    result = blender.run("region_list", settings=settings, file=tmp_path / "scene.blend", most=MAX_REGIONS)
    assert result["drawing"] == []
    assert {"sky", "face", "eyes", "800"} <= set(result["labels"])
    assert result["added"] == [["sky", "face", "eyes"], 2]
    assert result["moved down from the end"] == [["sky", "face", "eyes"], 2]
    assert result["moved up beyond the beginning"] == [["eyes", "sky", "face"], 0]
    assert result["new file"] == [[], 0]
    assert result["opened again"] == [["eyes", "sky", "face"], 0]
    job = result["job"]
    assert job["count"] == 0
    assert job["regions"] == [
        to_mapping(region)
        for region in (
            RegionSpec(str(tmp_path / "eyes.png"), 200, confine=True),
            RegionSpec(str(tmp_path / "sky.png"), 200),
            RegionSpec(str(tmp_path / "masks" / "face.png"), 800, 4, 20, str(tmp_path / "petals")),
        )
    ]
    assert result["last removed"] == [["eyes", "sky"], 1]
    assert result["first removed"] == [["sky"], 0]
    assert result["all removed"] == [[], 0]
    assert result["most"] == result["unmasked"] == MAX_REGIONS
    assert f"at most {MAX_REGIONS} regions" in result["one too many"]
