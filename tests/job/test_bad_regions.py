# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions that leave nothing to rebuild, or have no room: each error names the mask or the setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import save, small_job
from runs import fit_regions

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import RegionSpec
from smalti.engine.api import fit
from smalti.engine.job.run import run_job
from smalti.engine.templates import Template


def refusal(pictures: Path, templates: list[Template], *regions: dict[str, Any], **settings: Any) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        fit_regions(pictures, templates, *regions, **settings)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_mask_without_white_is_named(pictures: Path, templates: list[Template]) -> None:
    save(pictures / "black.png", np.zeros((8, 8), np.uint8))
    fault = refusal(pictures, templates, {"mask": "black", "count": 5})
    assert fault.code == "region_mask_empty"
    assert fault.message.startswith(str(pictures / "black.png"))


def test_a_region_where_the_target_is_transparent_is_named(pictures: Path, templates: list[Template]) -> None:
    corner = np.zeros((64, 64), np.uint8)
    corner[:6, :6] = 255
    save(pictures / "corner.png", corner)
    fault = refusal(pictures, templates, {"mask": "corner", "count": 5}, target="badge.png")
    assert fault.code == "region_mask_empty"
    assert "corner.png: nothing of the target" in fault.message


def test_regions_that_leave_nothing_are_reported(pictures: Path, templates: list[Template]) -> None:
    fault = refusal(pictures, templates, {"mask": "all", "count": 5})
    assert fault.code == "regions_cover_all"
    assert "count is 30" in fault.message
    assert "count to 0" in fault.hint


@pytest.mark.slow
def test_a_confined_region_without_room_is_named(pictures: Path, templates: list[Template]) -> None:
    fault = refusal(pictures, templates, {"mask": "face", "count": 5, "min_size": 70, "confine": True})
    assert fault.code == "region_too_small"
    assert "face.png, not even 70 pixels" in fault.message


@pytest.fixture
def edge(pictures: Path) -> Path:
    """A mask that is white along the right edge, where neither of the regions is."""
    mask = np.zeros((64, 96), np.uint8)
    mask[36:, 60:] = 255
    return save(pictures / "edge.png", mask)


@pytest.mark.parametrize("confine", [False, True])
def test_a_region_that_keep_in_excludes_is_named(
    pictures: Path, templates: list[Template], edge: Path, confine: bool
) -> None:
    fault = refusal(pictures, templates, {"mask": "face", "count": 5, "confine": confine}, keep_in=edge)
    assert fault.code == "region_empty"
    assert fault.message == (
        f"{pictures / 'face.png'}: nothing of this region lies where sprites may draw (keep_in: {edge})."
    )
    assert fault.hint == "Change one of the two masks."


def test_a_region_that_keep_out_excludes_is_named(pictures: Path, templates: list[Template]) -> None:
    mask = pictures / "sky.png"
    fault = refusal(pictures, templates, {"mask": "sky", "count": 5}, keep_out=mask)
    assert fault.message == f"{mask}: nothing of this region lies where sprites may draw (keep_out: {mask})."


def test_a_region_excluded_by_two_masks_is_named(pictures: Path, templates: list[Template], edge: Path) -> None:
    fault = refusal(pictures, templates, {"mask": "all", "count": 5}, count=0, keep_in=edge, keep_out=edge)
    assert f"(keep_in: {edge}, keep_out: {edge})" in fault.message
    assert "three masks" in fault.hint


def test_nothing_is_made_where_keep_in_excludes_a_region(tmp_path: Path, pictures: Path, edge: Path) -> None:
    job = small_job(tmp_path, regions=(RegionSpec(str(pictures / "face.png"), 5),), keep_in=str(edge))
    with pytest.raises(SmaltiError):
        run_job(job, tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_a_keep_in_that_leaves_nothing_outside_the_regions_is_named(pictures: Path, templates: list[Template]) -> None:
    mask = pictures / "face.png"
    fault = refusal(pictures, templates, {"mask": "face", "count": 5}, keep_in=mask)
    assert fault.code == "regions_cover_all"
    assert f"the regions and keep_in: {mask} leave nothing" in fault.message


def test_a_region_beyond_a_frames_outline_is_named(tmp_path: Path, pictures: Path, templates: list[Template]) -> None:
    """What is shown moves out of the region."""
    for frame, shift in enumerate((0, 48)):
        rgba = np.zeros((64, 96, 4), np.uint8)
        rgba[10:58, shift : shift + 48] = 200
        rgba[10:58, shift : shift + 48, 3] = 255
        save(tmp_path / "film" / f"{frame}.png", rgba)
    with pytest.raises(SmaltiError) as caught:
        fit(
            tmp_path / "film",
            templates,
            count=5,
            steps=4,
            frame_steps=4,
            inside_outline=True,
            regions=[{"mask": pictures / "left.png", "count": 5}],
        )
    assert caught.value.code == "region_empty"
    assert "left.png in frame 2 lies where sprites may draw" in caught.value.message


def test_a_missing_mask_is_named(pictures: Path, templates: list[Template]) -> None:
    assert str(pictures / "no.png") in refusal(pictures, templates, {"mask": "no", "count": 5}).message


def test_missing_bitmaps_of_a_region_are_named(pictures: Path, templates: list[Template]) -> None:
    region = {"mask": "face", "count": 5, "primitives": pictures / "nowhere"}
    assert str(pictures / "nowhere") in refusal(pictures, templates, region).message


def test_a_smallest_size_beyond_the_canvas_is_named(pictures: Path, templates: list[Template]) -> None:
    fault = refusal(pictures, templates, {"mask": "face", "count": 5, "min_size": 1e6})
    assert "min_size of region 1 is 1000000.0, but must be at most 1536" in fault.message
