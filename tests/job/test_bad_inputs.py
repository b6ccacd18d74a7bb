# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job cannot be made from: each error names the file and has its code, and is raised before the fit.

Only that of a later frame of a film is raised when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import film, png_that_declares, ramp, save, small_job
from runs import refused

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec, RegionSpec
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job


def refusal(job: JobSpec) -> SmaltiError:
    return refused(lambda: read_inputs(job))


def job_with(folder: Path, role: str, path: Path) -> JobSpec:
    """A job that reads the picture `path` in this role."""
    if role == "region":
        return small_job(folder, regions=(RegionSpec(str(path), 5),))
    return small_job(folder, **{role: str(path)})


ROLES = ("target", "primitives", "background", "target_mask", "keep_in", "keep_out", "weight_map", "region")


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_picture_is_named(tmp_path: Path, role: str) -> None:
    fault = refusal(job_with(tmp_path, role, tmp_path / "missing.png"))
    assert fault.code == "picture_missing"
    assert str(tmp_path / "missing.png") in fault.message


@pytest.mark.parametrize("role", ROLES)
def test_a_damaged_picture_is_named(tmp_path: Path, role: str) -> None:
    path = save(tmp_path / "cut.png", ramp())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    fault = refusal(job_with(tmp_path, role, path))
    assert fault.code == "picture_damaged"
    assert str(path) in fault.message


@pytest.mark.parametrize("role", ["target_mask", "weight_map", "region"])
def test_a_black_mask_is_named(tmp_path: Path, role: str) -> None:
    path = save(tmp_path / "night.png", np.zeros((8, 8), np.uint8))
    fault = refusal(job_with(tmp_path, role, path))
    codes = {"target_mask": "mask_empty", "weight_map": "weight_map_empty", "region": "region_mask_empty"}
    assert fault.code == codes[role]
    assert fault.message.startswith(f"{path}: ")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (5000, 2)])
def test_a_target_that_is_too_small_or_too_narrow_is_named(tmp_path: Path, width: int, height: int) -> None:
    path = save(tmp_path / "tiny.png", ramp(width, height))
    fault = refusal(small_job(tmp_path, target=str(path)))
    assert fault.code == "target_too_small"
    assert fault.message.startswith(f"{path}: is too small or too narrow to be rebuilt ({width} x {height} pixels")


def test_a_target_that_is_transparent_everywhere_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "clear.png", np.zeros((48, 48, 4), np.uint8))
    fault = refusal(small_job(tmp_path, target=str(path)))
    assert fault.code == "target_transparent"
    assert str(path) in fault.message


def test_a_target_without_an_outline_is_named(tmp_path: Path) -> None:
    fault = refusal(small_job(tmp_path, inside_outline=True))
    assert fault.code == "no_outline"
    assert str(tmp_path / "target.png") in fault.message
    assert "target_mask" in fault.hint


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "zero bytes": (lambda whole: b"", "picture_empty"),
    "text": (lambda whole: b"no picture at all", "not_a_picture"),
    "100,000 x 100,000": (lambda whole: png_that_declares(100_000, 100_000), "picture_too_large"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_later_frame_that_cannot_be_read_is_named_when_its_turn_comes_and_may_be_repaired(
    tmp_path: Path, kind: str
) -> None:
    damage, code = BROKEN[kind]
    path = film(tmp_path / "film") / "03.png"
    good = path.read_bytes()
    path.write_bytes(damage(good))
    fault = refused(lambda: run_job(small_job(tmp_path, target=str(path.parent)), tmp_path / "job"))
    assert fault.code == code
    assert str(path) in fault.message
    path.write_bytes(good)
    assert resume_job(tmp_path / "job").report["frames"] == 3


def test_a_frame_of_other_proportions_is_named(tmp_path: Path) -> None:
    path = save(film(tmp_path / "film") / "02.png", ramp(64, 64))
    inputs = read_inputs(small_job(tmp_path, target=str(path.parent)))
    fault = refused(lambda: inputs.target(1))
    assert fault.code == "frame_size"
    assert fault.message.startswith(f"{path}: is 64 x 64 pixels")


def test_a_frame_of_another_size_is_brought_to_the_canvas(tmp_path: Path) -> None:
    path = save(film(tmp_path / "film") / "02.png", ramp(128, 96))
    inputs = read_inputs(small_job(tmp_path, target=str(path.parent)))
    assert inputs.target(1).shape == inputs.target(0).shape == (48, 64, 4)


@pytest.mark.parametrize("settings", [{"min_size": 1e6}, {"min_size": 1600.0}], ids=str)
def test_a_smallest_size_beyond_the_canvas_is_named(tmp_path: Path, settings: dict[str, Any]) -> None:
    fault = refusal(small_job(tmp_path, **settings))
    assert fault.code == "bad_setting"
    assert "at most 1536 on this canvas" in fault.message
