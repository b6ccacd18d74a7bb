# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's frames and the masks: each picture is decoded once, and few stay in memory."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import badge, film, save, small_job
from PIL import Image
from runs import refused, same_result, stopped

from smalti.bridge.job import RegionSpec
from smalti.engine.files import images
from smalti.engine.job.frames import KEPT
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each picture is decoded, by the name of its file."""
    counts: Counter[str] = Counter()
    to_srgb = images._to_srgb

    def counted(image: Image.Image, path: Path) -> Image.Image:
        counts[path.name] += 1
        return to_srgb(image, path)

    monkeypatch.setattr(images, "_to_srgb", counted)
    return counts


@pytest.mark.parametrize("settings", [{}, {"blend_space": "linear", "colour_mix": 0.5}, {"max_overlap": 2.0}], ids=str)
def test_every_picture_of_a_still_is_decoded_once(
    tmp_path: Path, decodes: Counter[str], settings: dict[str, Any]
) -> None:
    run_job(small_job(tmp_path, **settings), tmp_path / "job")
    assert decodes == {"target.png": 1, "disc.png": 1, "bar.png": 1}


def test_every_picture_of_a_cut_out_inside_its_outline_is_decoded_once(tmp_path: Path, decodes: Counter[str]) -> None:
    run_job(
        small_job(tmp_path, target=str(save(tmp_path / "badge.png", badge())), inside_outline=True), tmp_path / "job"
    )
    assert decodes == {"badge.png": 1, "disc.png": 1, "bar.png": 1}


def test_every_mask_is_decoded_once(tmp_path: Path, decodes: Counter[str]) -> None:
    x = np.arange(96)[None].repeat(64, axis=0)
    planes = {
        "target_mask": x < 90,
        "keep_in": x < 80,
        "keep_out": x > 85,
        "weight_map": x > 10,
        "background": x > 0,
        "left": x < 40,
        "right": x > 60,
    }
    paths = {
        name: str(save(tmp_path / f"{name}.png", (255 * white).astype(np.uint8))) for name, white in planes.items()
    }
    regions = (RegionSpec(paths.pop("left"), 5), RegionSpec(paths.pop("right"), 5, confine=True))
    run_job(small_job(tmp_path, regions=regions, inside_outline=True, **paths), tmp_path / "job")
    assert decodes == {f"{name}.png": 1 for name in (*planes, "target", "disc", "bar")}


def test_every_frame_of_a_film_is_decoded_once(tmp_path: Path, decodes: Counter[str]) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 4))), tmp_path / "job")
    assert decodes == {f"{name}.png": 1 for name in ("01", "02", "03", "04", "disc", "bar")}


def test_a_resumed_film_decodes_each_frame_once_and_of_those_done_before_the_first_alone(
    tmp_path: Path, decodes: Counter[str]
) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 6)))
    steps = iter(range(100))
    run_job(job, tmp_path / "job", should_stop=lambda: next(steps) >= 22)  # in the fourth frame
    assert decodes == {f"{name}.png": 1 for name in ("01", "02", "03", "04", "disc", "bar")}
    decodes.clear()
    resume_job(tmp_path / "job")
    # The first gives the canvas, and the third says whether the fourth begins a new scene.
    wanted = {"01.png": 1, "02.png": 0, "03.png": 1, "04.png": 1, "05.png": 1, "06.png": 1}
    assert {name: decodes[name] for name in wanted} == wanted


def test_few_frames_stay_in_memory(tmp_path: Path) -> None:
    inputs = read_inputs(small_job(tmp_path, target=str(film(tmp_path / "film", 5))))
    alive = [weakref.ref(inputs.frames[frame]) for frame in range(5)]
    gc.collect()
    assert [frame() is not None for frame in alive] == [False] * (5 - KEPT) + [True] * KEPT


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_a_fit_leaves_the_target_in_memory_as_it_was(tmp_path: Path, space: str) -> None:
    job = small_job(
        tmp_path,
        target=str(save(tmp_path / "badge.png", badge())),
        inside_outline=True,
        blend_space=space,
        min_visibility=0.1,
        even_coverage=0.5,
    )
    inputs = read_inputs(job)
    fitting = inputs.fitting()
    while not fitting.finished:
        fitting.step()
    fitting.result()
    fitting.report()
    inputs.goal(0)
    np.testing.assert_array_equal(inputs.target(0), read_inputs(job).target(0))
    np.testing.assert_array_equal(inputs.inside(0), read_inputs(job).inside(0))


# One frame.


def animation(path: Path, frames: int = 3) -> Path:
    """A GIF, or WebP, of plain frames with brightness 0, 60, 120 and so on."""
    pictures = [Image.new("RGB", (32, 24), (60 * k, 60 * k, 60 * k)) for k in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    return path


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_one_frame_of_an_animation_is_a_still(tmp_path: Path, ending: str) -> None:
    path = animation(tmp_path / f"moving.{ending}")
    for frame in (1, 2, 3):
        inputs = read_inputs(small_job(tmp_path, target=str(path), target_frame=frame))
        assert len(inputs.frames) == 1
        assert inputs.target(0)[..., :3] == pytest.approx(60 / 255 * (frame - 1), abs=3e-3)


def test_an_animation_of_one_frame_is_a_picture(tmp_path: Path) -> None:
    path = animation(tmp_path / "still.gif", frames=1)
    assert read_inputs(small_job(tmp_path, target=str(path))).width == 32


@pytest.mark.parametrize("frame", [0, 4])
def test_a_frame_that_is_not_there_is_refused(tmp_path: Path, frame: int) -> None:
    paths = animation(tmp_path / "moving.gif"), film(tmp_path / "film")
    for path in paths:
        job = small_job(tmp_path, target=str(path), target_frame=frame)
        fault = refused(partial(read_inputs, job))
        assert (fault.code, fault.setting) == ("bad_setting", "target_frame")
        assert frame == 0 or fault.rule == f"at most 3, the number of frames of {path}"


def test_one_frame_of_a_folder_is_a_still_and_is_resumed(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")), target_frame=2)
    run_job(job, tmp_path / "whole")
    assert (tmp_path / "whole" / "render.png").is_file()
    stopped(job, tmp_path / "half", 6)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")
