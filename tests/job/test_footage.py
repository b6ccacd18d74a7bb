# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target stands for: folders, patterns, animations and films, and some of their frames."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from film_files import Written, level, write_film
from jobs import film, save, small_job
from PIL import Image
from runs import refused, refused_and_unchanged, same_result, stopped

from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.engine.composition import load_composition
from smalti.engine.files.footage import Footage
from smalti.engine.job.footage import footage_of, rate_of
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job


def job_of(target: Path, **settings: object) -> JobSpec:
    return JobSpec(str(target), "bitmaps", **settings).checked()  # type: ignore[arg-type]


def shots(folder: Path, *names: str) -> Path:
    """Pictures of these names, each as bright as its place says."""
    for place, name in enumerate(names):
        save(folder / name, np.full((24, 32, 3), 10 * place, np.uint8))
    return folder


def levels(footage: Footage) -> list[int]:
    """The red of each frame near its lower right corner."""
    return [int(footage.read(index)[-4, -4, 0]) for index in range(len(footage))]


def moving(path: Path, durations: list[int]) -> Path:
    """An animation whose frames have brightness 0, 40, 80 and so on; durations in milliseconds."""
    pictures = [Image.new("RGB", (32, 24), (40 * k,) * 3) for k in range(len(durations))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, lossless=True)
    return path


NAMES = ("shot.0001.png", "shot.0002.png", "shot.0010.png", "shot.10000.png", "shot.1.png", "other.0001.png")


@pytest.mark.parametrize(("pattern", "expected"), [
    ("shot.####.png", [0, 10, 20, 30]),
    ("shot.%04d.png", [0, 10, 20, 30]),
    ("shot.%d.png", [0, 40, 10, 20, 30]),
    ("shot.#.png", [0, 40, 10, 20, 30]),
    ("*.000?.png", [50, 0, 10]),
])  # fmt: skip
def test_a_pattern_is_the_pictures_that_fit_it_in_their_order(
    tmp_path: Path, pattern: str, expected: list[int]
) -> None:
    shots(tmp_path, *NAMES)
    assert levels(footage_of(job_of(tmp_path / pattern))) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    shots(tmp_path, "take #1.png", "take #2.png")
    assert len(footage_of(job_of(tmp_path / "take #1.png"))) == 1


def test_a_pattern_that_nothing_fits_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        fault = refused(partial(footage_of, job_of(folder / "shot.####.png")))
        assert fault.code == "no_pictures"
        assert fault.message.startswith(f"{folder / 'shot.####.png'}: no picture fits")


@pytest.mark.parametrize(("frames", "expected"), [
    ("2:4", [10, 20, 30]),
    ("1:5:2", [0, 20, 40]),
    ("4:", [30, 40]),
    (":2", [0, 10]),
    ("::3", [0, 30]),
    ("3:3", [20]),
])  # fmt: skip
def test_some_frames_of_a_folder(tmp_path: Path, frames: str, expected: list[int]) -> None:
    shots(tmp_path, *(f"{k}.png" for k in range(5)))
    assert levels(footage_of(job_of(tmp_path, frames=frames))) == expected


def test_some_frames_of_a_film_and_of_an_animation(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4")
    assert levels(footage_of(job_of(path, frames="4:8:2"))) == pytest.approx([level(k) for k in (3, 5, 7)], abs=3)
    assert levels(footage_of(job_of(path, target_frame=4))) == pytest.approx([level(3)], abs=3)
    path = moving(tmp_path / "moving.webp", [100] * 5)
    assert levels(footage_of(job_of(path, frames="2:5:3"))) == [40, 160]


@pytest.mark.parametrize("kind", ["folder", "film", "animation", "picture"])
def test_frames_that_are_not_there_are_refused_with_those_that_are(tmp_path: Path, kind: str) -> None:
    target = {
        "folder": lambda: shots(tmp_path / "folder", "1.png", "2.png", "3.png"),
        "film": lambda: write_film(tmp_path / "film.mp4", 3),
        "animation": lambda: moving(tmp_path / "moving.gif", [50, 50, 50]),
        "picture": lambda: save(tmp_path / "one.png", np.zeros((8, 8), np.uint8)),
    }[kind]()
    count = 1 if kind == "picture" else 3
    for frames in ("2:4", "4:", "9:12"):
        fault = refused(partial(footage_of, job_of(target, frames=frames)))
        assert (fault.code, fault.setting) == ("bad_setting", "frames")
        assert fault.rule == f"within 1:{count}, the frames of {target}"
    fault = refused(lambda: footage_of(job_of(target, target_frame=4)))
    assert (fault.code, fault.setting) == ("bad_setting", "target_frame")
    assert fault.rule == f"at most {count}, the number of frames of {target}"


@pytest.mark.parametrize("frames", ["", "4", ":", "3:2", "0:4", "1:4:0", "a:b", "1:2:3:4", "-1:4"])
def test_a_range_that_is_none_is_refused(tmp_path: Path, frames: str) -> None:
    fault = refused(lambda: job_of(tmp_path, frames=frames))
    assert (fault.code, fault.setting) == ("bad_setting", "frames")


def test_a_range_is_left_out_with_a_frame(tmp_path: Path) -> None:
    assert refused(lambda: job_of(tmp_path, frames="1:4", target_frame=2)).setting == "frames"


# Animations.


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_is_a_film_of_all_its_frames(tmp_path: Path, ending: str) -> None:
    footage = footage_of(job_of(moving(tmp_path / f"moving.{ending}", [80] * 5)))
    assert levels(footage) == [0, 40, 80, 120, 160]
    assert footage.rate == 12.5
    assert [int(footage.read(index)[0, 0, 0]) for index in (3, 0, 4)] == [120, 0, 160]


def test_frames_of_an_animation_last_as_long_as_they_say(tmp_path: Path) -> None:
    footage = footage_of(job_of(moving(tmp_path / "moving.gif", [200, 100, 400, 100])))
    assert footage.rate == 10
    assert levels(footage) == [0, 0, 40, 80, 80, 80, 80, 120]


def test_a_gif_that_says_no_duration_plays_as_in_a_browser(tmp_path: Path) -> None:
    footage = footage_of(job_of(moving(tmp_path / "moving.gif", [0, 0, 0])))
    assert footage.rate == 10
    assert len(footage) == 3


def test_a_damaged_frame_of_an_animation_is_named(tmp_path: Path) -> None:
    path = moving(tmp_path / "moving.png", [100] * 4)
    data = bytearray(path.read_bytes())
    second = [at for at in range(len(data)) if data[at : at + 4] == b"fdAT"][1]  # the first frame is an IDAT
    data[second + 8 : second + 16] = bytes(8)
    path.write_bytes(data)
    fault = refused(lambda: footage_of(job_of(path)))
    assert fault.code == "picture_damaged"
    assert fault.message.startswith(f"{path}, frame 3: is damaged")


# The rate.


def test_the_rate_is_the_films_unless_it_is_given(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 4, Written(rate=30))
    pictures = shots(tmp_path / "shots", "1.png", "2.png", "3.png", "4.png")

    def rates(target: Path) -> list[float]:
        jobs: list[dict[str, Any]] = [
            {},
            {"frame_rate": 12.0},
            {"frames": "1:4:2"},
            {"frames": "1:2:2", "frame_rate": 12.0},
        ]
        return [rate_of(job, footage_of(job)) for job in (job_of(target, **settings) for settings in jobs)]

    assert rates(path) == [30, 12, 15, 6]
    assert rates(pictures) == [24, 12, 12, 6]


def test_a_rate_of_television_is_kept_exactly(tmp_path: Path) -> None:
    shots(tmp_path, "1.png", "2.png")
    path = moving(tmp_path / "moving.gif", [40, 40])
    job = job_of(path, frame_rate=24000 / 1001)
    assert footage_of(job).rate.as_integer_ratio() == (24000, 1001)  # type: ignore[union-attr]


@pytest.mark.parametrize("rate", [1e-9, 1000.0])
def test_any_rate_that_can_be_given_is_taken(tmp_path: Path, rate: float) -> None:
    footage = footage_of(job_of(write_film(tmp_path / "film.mp4", 4), frame_rate=rate))
    assert len(footage) == (1 if rate < 1 else 160)
    assert footage.read(len(footage) - 1).shape == (32, 48, 4)


# Jobs.


def test_a_film_is_rebuilt_and_resumed_as_its_pictures_are(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.webm", 4, Written("libvpx-vp9", "yuva420p"))
    job = small_job(tmp_path, target=str(path), frames="1:3")
    run_job(job, tmp_path / "whole")
    composition = load_composition(tmp_path / "whole")
    assert (composition.frames, composition.header.frame_rate) == (3, 25)
    assert composition.header.background == "transparent"
    stopped(job, tmp_path / "half", 14)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")
    footage = footage_of(job)
    for index in range(3):
        save(tmp_path / "pictures" / f"{index}.png", footage.read(index))
    run_job(replace(job, target=str(tmp_path / "pictures"), frames=None, frame_rate=25.0), tmp_path / "pictures job")
    assert same_result(tmp_path / "pictures job", tmp_path / "whole")


def test_another_film_in_its_place_is_noticed_once_it_comes_to_a_frame_that_was_begun(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 4, Written(key_every=1))
    stopped(small_job(tmp_path, target=str(path)), tmp_path / "job", 14)
    good = path.read_bytes()
    write_film(path, 4, Written(key_every=1, options={"crf": "40"}))
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "target_changed"
    assert fault.message == f"{path}, frame 1: has changed since the job began."
    path.write_bytes(good)
    assert resume_job(tmp_path / "job").report["frames"] == 4


def test_another_range_in_the_job_file_is_noticed(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 4)), frames="1:3")
    stopped(job, tmp_path / "job", 14)
    path = tmp_path / "job" / "job.json"
    write_job(path, replace(read_job(path), frames="2:4"))
    assert refused_and_unchanged(tmp_path / "job").code == "target_changed"


def test_a_frame_of_another_shape_within_a_film_of_pictures_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    shots(tmp_path / "shots", "1.png", "2.png", "3.png")
    path = save(tmp_path / "shots" / "3.png", np.zeros((32, 32), np.uint8))
    inputs = read_inputs(small_job(tmp_path, target=str(tmp_path / "shots" / "#.png"), background="#000000"))
    assert inputs.target(1).shape[:2] == (24, 32)
    fault = refused(lambda: inputs.target(2))
    assert (fault.code, str(path) in fault.message) == ("frame_size", True)
