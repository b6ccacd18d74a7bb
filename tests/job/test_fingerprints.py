# SPDX-License-Identifier: GPL-3.0-or-later
"""A job is not resumed with other pictures in the place of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import (
    film,
    ramp,
    save,
    small_job,
)
from PIL import Image
from runs import refused_and_unchanged, same_result, stopped

from smalti.bridge.job import RegionSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.engine.composition import read_arrays, write_arrays
from smalti.engine.job import fingerprints, run
from smalti.engine.job.run import resume_job, run_job


@pytest.mark.parametrize("pixels", [ramp(96, 60), ramp()[::-1] // 2], ids=["another size", "other colours"])
def test_another_picture_in_the_place_of_the_target_is_noticed(half: Path, pixels: Any) -> None:
    target = save(Path(read_job(half / "job.json").target), pixels)
    fault = refused_and_unchanged(half)
    assert fault.code == "target_changed"
    assert str(target) in fault.message


def test_another_picture_of_the_same_size_and_mean_is_noticed(tmp_path: Path) -> None:
    stopped(small_job(tmp_path, background="#102030"), tmp_path / "job", 6)
    target = save(tmp_path / "target.png", ramp()[:, ::-1])
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "target_changed"
    assert fault.message == f"{target}: has changed since the job began."
    save(target, ramp())
    assert not resume_job(tmp_path / "job").cancelled


def test_a_frame_taken_away_is_noticed(half_film: Path, tmp_path: Path) -> None:
    for name in ("01.png", "04.png"):
        frame = tmp_path / "film" / name
        frame.rename(tmp_path / name)
        fault = refused_and_unchanged(half_film)
        assert fault.code == "target_changed"
        assert fault.message.startswith(f"{frame}: is missing")
        (tmp_path / name).rename(frame)
    assert resume_job(half_film).report["frames"] == 4


def test_a_frame_put_in_between_is_noticed(half_film: Path, tmp_path: Path) -> None:
    frame = tmp_path / "film" / "01b.png"
    frame.write_bytes((tmp_path / "film" / "01.png").read_bytes())
    fault = refused_and_unchanged(half_film)
    assert fault.code == "target_changed"
    assert fault.message.startswith(f"{frame}: was no frame")
    frame.unlink()
    assert not resume_job(half_film).cancelled


def test_another_frame_in_the_place_of_one_is_noticed_once_that_was_begun(half_film: Path, tmp_path: Path) -> None:
    """A later one is read when its turn comes, and may be repaired until then."""
    frame, later = tmp_path / "film" / "02.png", tmp_path / "film" / "03.png"
    good = frame.read_bytes()
    frame.write_bytes(later.read_bytes())
    fault = refused_and_unchanged(half_film)
    assert fault.code == "target_changed"
    assert str(frame) in fault.message
    frame.write_bytes(good)
    later.write_bytes(good)
    assert not resume_job(half_film).cancelled


@pytest.mark.parametrize(
    "name", ["target_mask", "keep_in", "keep_out", "weight_map", "background", "mask of region 1", "mask of region 2"]
)
def test_another_picture_in_the_place_of_any_is_noticed(tmp_path: Path, name: str) -> None:
    white, black = np.full((64, 96), 255, np.uint8), np.zeros((64, 96), np.uint8)
    black[:10, :10] = 40  # below half, and not nothing
    half, right = white.copy(), white.copy()
    half[:, :48], right[:, 40:] = 0, 0
    masks = {"target_mask": white, "keep_in": white, "keep_out": black, "weight_map": white, "background": white}
    paths = {n: str(save(tmp_path / f"{n}.png", pixels)) for n, pixels in masks.items()}
    regions = tuple(RegionSpec(str(save(tmp_path / f"{n}.png", mask)), 5) for n, mask in ((1, half), (2, right)))
    stopped(small_job(tmp_path, regions=regions, count=0, **paths), tmp_path / "job", 6)
    path = Path(read_job(tmp_path / "job" / "job.json").paths[name])
    before = path.read_bytes()
    save(path, np.flipud(np.asarray(Image.open(path))) // 2 + 100)
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "input_changed"
    assert fault.message.startswith(f"{path}: has changed")
    path.write_bytes(before)
    assert not resume_job(tmp_path / "job").cancelled


def test_a_mask_that_is_gone_is_named(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    stopped(small_job(tmp_path, target_mask=str(mask)), tmp_path / "job", 6)
    mask.unlink()
    assert refused_and_unchanged(tmp_path / "job").message == f"{mask}: does not exist."


def test_a_mask_left_out_of_the_job_file_is_noticed(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    stopped(small_job(tmp_path, keep_in=str(mask)), tmp_path / "job", 6)
    path = tmp_path / "job" / "job.json"
    write_job(path, replace(read_job(path), keep_in=None))
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "input_changed"
    assert fault.message.startswith("keep_in: has changed")


def test_a_checkpoint_that_says_nothing_of_the_files_is_resumed(half: Path, tmp_path: Path) -> None:
    """Earlier versions wrote such."""
    run_job(small_job(tmp_path), tmp_path / "whole")
    path = half / "checkpoint.npz"
    write_arrays(path, {n: a for n, a in read_arrays(path).items() if not n.startswith("sources.")})
    assert not resume_job(half).cancelled
    assert same_result(half, tmp_path / "whole")


def test_a_film_is_read_once_and_not_at_each_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    hash_of = fingerprints._hash_of

    def recorded(path: Path) -> str:
        hashed.append(path.name)
        return hash_of(path)

    monkeypatch.setattr(fingerprints, "_hash_of", recorded)
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film"))), tmp_path / "job")
    assert hashed == ["01.png", "02.png", "03.png"]
