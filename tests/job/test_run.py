# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job leaves in its folder, what it reports, and that the same seed gives the same result."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import (
    arrays_of,
    badge,
    bitmaps,
    contents,
    decibels,
    film,
    pixels_of,
    ramp,
    resized,
    save,
    slow,
    small_job,
)
from PIL import Image
from runs import BITMAPS, FINISHED, Recorder, refused, same_result, stopped

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.job_file import read_job
from smalti.engine import cli
from smalti.engine.composition import load_composition
from smalti.engine.composition import render as smalti_render
from smalti.engine.job import run
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.raster import Scene, draw

# What a job leaves.


def test_a_finished_job_holds_these_files_and_no_others(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path), tmp_path / "job")
    assert outcome.folder == tmp_path / "job"
    assert not outcome.cancelled
    assert set(contents(tmp_path / "job")) == FINISHED | BITMAPS


def test_a_finished_film_holds_a_picture_of_every_frame(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 3)), frame_rate=12.0), tmp_path / "job")
    pictures = {f"render/000{n}.png" for n in (1, 2, 3)} | BITMAPS
    assert set(contents(tmp_path / "job")) == FINISHED - {"render.png"} | pictures | {"last_frame.npz"}
    composition = load_composition(tmp_path / "job")
    assert (composition.frames, composition.header.frame_rate) == (3, 12)
    assert arrays_of(tmp_path / "job")["template"].shape == (24,)


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path, size=48), tmp_path / "job")
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    assert report == outcome.report
    expected = {"steps": 12, "sprites": 24, "templates": 2, "frames": 1, "width": 48, "height": 32, "device": "cpu"}
    assert {name: report[name] for name in expected} == expected
    assert not report["cancelled"]
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 10
    assert 5 < report["psnr"] < 100


def test_the_job_file_keeps_the_settings_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "~target.png", ramp())
    save(tmp_path / "behind.png", ramp())
    save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    save(tmp_path / "map.png", np.full((8, 8), 255, np.uint8))
    bitmaps(tmp_path / "marks")
    monkeypatch.chdir(tmp_path)
    files: dict[str, Any] = {"background": "behind.png", "target_mask": "mask.png", "weight_map": "map.png"}
    save(tmp_path / "half.png", np.repeat(np.array([[255, 0]], np.uint8), 8, axis=0))
    region = RegionSpec("half.png", 3, primitives="marks")
    job = JobSpec("~target.png", "marks", 7, steps=2, seed=5, regions=(region,), **files)
    run_job(job, Path("job"))
    assert read_job(tmp_path / "job" / "job.json") == replace(
        job,
        target=str(tmp_path / "~target.png"),
        primitives=str(tmp_path / "marks"),
        background=str(tmp_path / "behind.png"),
        target_mask=str(tmp_path / "mask.png"),
        weight_map=str(tmp_path / "map.png"),
        regions=(replace(region, mask=str(tmp_path / "half.png"), primitives=str(tmp_path / "marks")),),
    )


def test_the_job_keeps_its_bitmaps_and_its_background(tmp_path: Path) -> None:
    behind = save(tmp_path / "behind.png", ramp(20, 30))
    job = small_job(tmp_path, background=str(behind))
    run_job(job, tmp_path / "job")
    before = contents(tmp_path / "job")
    for file in [behind, Path(job.target), *(tmp_path / "primitives").iterdir()]:
        file.unlink()
    assert cli.main(["render", str(tmp_path / "job"), "--out", str(tmp_path / "again.png")]) == 0
    np.testing.assert_array_equal(Image.open(tmp_path / "again.png"), Image.open(tmp_path / "job" / "render.png"))
    assert contents(tmp_path / "job") == before


def test_the_log_tells_how_the_job_went(tmp_path: Path) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    log = (tmp_path / "job" / "engine.log").read_text()
    assert "Canvas 96 x 64, 24 sprites" in log
    assert "Done after 12 steps" in log
    assert len(log.splitlines()) == 2


def test_every_step_is_reported_and_a_preview_is_written_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PREVIEW_SECONDS", 0.0)
    sizes = []
    recorder = Recorder(11, lambda: sizes.append(Image.open(recorder.previews[-1]).size))
    run_job(small_job(tmp_path), tmp_path / "job", listener=recorder)
    assert recorder.stages == [("fit", n, 12) for n in range(1, 13)] + [("render", 1, 1)]
    assert set(recorder.previews) == {tmp_path / "job" / "preview.png"}
    assert sizes == [(96, 64)]
    assert not (tmp_path / "job" / "preview.png").exists()


def test_previews_are_rendered_on_the_job_s_device_and_finished_pictures_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def recorded(scene: Scene[Any], back_end: str) -> Any:
        used.append(back_end)
        return draw(scene, back_end)

    monkeypatch.setattr(smalti_render, "draw", recorded)
    monkeypatch.setattr(run, "PREVIEW_SECONDS", 0.0)
    run_job(small_job(tmp_path, device="reference", steps=3, size=32), tmp_path / "job")
    assert used == ["reference"] * 3 + ["cpu"]


def test_the_steps_of_a_film_are_reported_frame_by_frame(tmp_path: Path) -> None:
    recorder = Recorder()
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 2))), tmp_path / "job", listener=recorder)
    expected = [("frame 1 of 2", n, 16) for n in range(1, 13)] + [("frame 2 of 2", n, 16) for n in range(13, 17)]
    assert recorder.stages == [*expected, ("render", 1, 2), ("render", 2, 2)]


def test_the_loggers_are_left_as_they_were(tmp_path: Path) -> None:
    logger = logging.getLogger("smalti")
    before = logger.level, list(logger.handlers)
    run_job(small_job(tmp_path), tmp_path / "job")
    refused(lambda: resume_job(tmp_path / "job"))
    assert (logger.level, logger.handlers) == before


# The report's PSNR, computed again from the files alone.


def goal(job: JobSpec, width: int, height: int) -> Any:
    """The target as it should look, [H, W, 4] premultiplied sRGB."""
    return resized(pixels_of(Path(job.target)), width, height)


@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("size", [96, 50, 130])
def test_the_reported_psnr_of_an_opaque_target_is_that_of_the_picture(tmp_path: Path, space: str, size: int) -> None:
    job = small_job(tmp_path, size=size, steps=40, blend_space=space)
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    shown = pixels_of(tmp_path / "job" / "render.png")
    height, width = shown.shape[:2]
    assert max(height, width) == size
    expected = decibels(shown[..., :3], goal(job, width, height)[..., :3])
    assert psnr == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_the_reported_psnr_of_a_transparent_target_counts_premultiplied_colours_and_alpha(
    tmp_path: Path, space: str
) -> None:
    target = save(tmp_path / "badge.png", badge())
    job = small_job(tmp_path, target=str(target), size=48, steps=40, blend_space=space)
    report = run_job(job, tmp_path / "job").report
    assert report["background"] == "transparent"
    shown = pixels_of(tmp_path / "job" / "render.png")
    assert report["psnr"] == pytest.approx(decibels(shown, goal(job, 48, 48)), abs=0.05)


def test_the_reported_psnr_over_a_background_counts_what_shows_of_it(tmp_path: Path) -> None:
    target = save(tmp_path / "badge.png", badge())
    job = small_job(tmp_path, target=str(target), size=48, steps=40, background="#00ff80")
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    wanted = goal(job, 48, 48)
    wanted = wanted[..., :3] + (1 - wanted[..., 3:]) * np.array([0, 1, 128 / 255])
    shown = pixels_of(tmp_path / "job" / "render.png")[..., :3]
    assert psnr == pytest.approx(decibels(shown, wanted), abs=0.05)


def test_the_reported_psnr_under_a_mask_counts_the_empty_part_as_empty(tmp_path: Path) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 40:] = 255
    job = small_job(tmp_path, steps=40, target_mask=str(save(tmp_path / "mask.png", mask)))
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    wanted = goal(job, 96, 64) * (mask / 255)[..., None]
    assert psnr == pytest.approx(decibels(pixels_of(tmp_path / "job" / "render.png"), wanted), abs=0.05)


def test_the_reported_psnr_of_a_film_is_the_mean_over_its_frames(tmp_path: Path) -> None:
    folder = film(tmp_path / "film", 3)
    report = run_job(small_job(tmp_path, target=str(folder)), tmp_path / "job").report
    each = [
        decibels(pixels_of(tmp_path / "job" / "render" / f"000{n}.png"), pixels_of(folder / f"0{n}.png"))
        for n in (1, 2, 3)
    ]
    # The frames are opaque: alpha adds a quarter of zeros, which is 1.25 dB.
    each = [decibel + 10 * np.log10(3 / 4) for decibel in each]
    assert report["psnr_frames"] == pytest.approx(each, abs=0.05)
    assert report["psnr"] == pytest.approx(np.mean(each), abs=0.05)


# The same again.


@pytest.mark.parametrize(
    "settings", [{}, slow({"blend_space": "linear", "colour_mix": 0.5}), {"background": "transparent"}], ids=str
)
def test_the_same_seed_gives_the_same_result_bit_for_bit_and_another_another(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    job = small_job(tmp_path, seed=3, **settings)
    run_job(job, tmp_path / "a")
    run_job(job, tmp_path / "b")
    run_job(replace(job, seed=4), tmp_path / "c")
    assert same_result(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "render.png").read_bytes() == (tmp_path / "b" / "render.png").read_bytes()
    assert not same_result(tmp_path / "a", tmp_path / "c")


def test_the_same_seed_gives_the_same_film(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")))
    run_job(job, tmp_path / "a")
    run_job(job, tmp_path / "b")
    assert same_result(tmp_path / "a", tmp_path / "b")


def test_several_masks_are_joined(tmp_path: Path) -> None:
    left, right = np.zeros((2, 64, 96), np.uint8)
    left[:, :20], right[:, 60:] = 255, 100
    paths = tuple(str(save(tmp_path / f"{name}.png", mask)) for name, mask in (("left", left), ("right", right)))
    for outlined in (False, True):
        job = small_job(tmp_path, target_mask=paths, inside_outline=outlined)
        alpha = read_inputs(job).target(0)[..., 3]
        assert alpha == pytest.approx(np.maximum(left, right) / 255, abs=1e-6)
    assert read_inputs(job).inside(0)[:, :40].all()
    assert not read_inputs(job).inside(0)[:, 40:].any()


def test_bitmaps_are_chosen_by_their_weights_and_after_a_resume_too(tmp_path: Path) -> None:
    marks = bitmaps(tmp_path / "primitives")
    job = small_job(tmp_path, primitives=(str(marks / "disc.png"), str(marks / "bar.*")), bitmap_weights=(5.0, 1.0))
    assert np.bincount(read_inputs(job).fitting().result()["template"]).tolist() == [20, 4]
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "half", 6)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")
