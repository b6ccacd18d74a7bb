# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way with the real engine: Fit, Import Layers, and a Cycles render that equals the engine's picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from pictures import psnr
from PIL import Image, ImageFont
from synthetic import write_bitmaps

from smalti.bridge.job_file import read_job

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def _target(path: Path, shift: float = 0.0) -> Path:
    """A soft picture, 128 x 96: a bright disc on a slope of colors."""
    y, x = np.mgrid[0:96, 0:128] / 96
    disc = np.clip((0.3 - np.hypot(x - 0.6 - shift, y - 0.5)) * 20, 0, 1)[..., None]
    rgb = disc * (0.95, 0.8, 0.2) + (1 - disc) * np.stack((0.2 + 0.3 * y, 0.3 + 0.1 * x, 0.8 - 0.5 * y), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((rgb * 255).round().astype(np.uint8)).save(path)
    return path


def _settings(tmp_path: Path, **more: object) -> dict[str, object]:
    write_bitmaps(tmp_path / "bitmaps")
    return {
        "target": _target(tmp_path / "target.png"),
        "primitives": tmp_path / "bitmaps",
        "output": tmp_path / "job",
        "count": 120,
        "size": 128,
        "steps": 40,
        "device": "CPU",
        **more,
    }


@pytest.mark.oldest_and_newest
def test_letters_become_layers_with_their_names(blender: Blender, tmp_path: Path) -> None:
    built_in = ImageFont.load_default(10)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    (tmp_path / "plain.ttf").write_bytes(built_in.font_bytes)
    text = {"primitives": "", "text": "of light/", "font": tmp_path / "plain.ttf", "text_split": "WORDS"}
    result = blender.run("fit", settings=_settings(tmp_path, steps=4, **text))
    assert result["outcome"]["failed"] is False, result
    assert result["layers"] == 120
    assert result["bitmaps"] == ["light/", "of"]
    job = read_job(tmp_path / "job" / "job.json")
    assert (job.primitives, job.text, job.text_split) == (None, "of light/", "words")
    assert job.font == str(tmp_path / "plain.ttf")


@pytest.mark.oldest_and_newest
def test_layers_of_a_region_have_the_name_of_its_mask(blender: Blender, tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.repeat(np.array([0, 255], np.uint8), 64), (96, 1))).save(tmp_path / "right half.png")
    region = {"mask": tmp_path / "right half.png", "count": 30, "max_size": 12, "confine": True}
    result = blender.run("fit", settings=_settings(tmp_path, count=20, steps=4, regions=[region]))
    assert result["outcome"]["failed"] is False, result
    assert result["layers"] == 50
    assert sum(name.startswith("right half ") for name in result["bitmaps"]) == len(result["bitmaps"]) / 2
    job = read_job(tmp_path / "job" / "job.json")
    assert [(r.mask, r.count, r.max_size, r.confine) for r in job.regions] == [(str(region["mask"]), 30, 12.0, True)]


def test_fitted_picture_renders_in_cycles_as_the_engine_drew_it(blender: Blender, tmp_path: Path) -> None:
    settings = _settings(tmp_path, colour_mix=0.3)
    result = blender.run("fit", settings=settings, renders=[(1, tmp_path / "out.png")])
    assert result["outcome"]["failed"] is False, result
    assert result["outcome"]["text"].startswith("job: finished, 120 sprites")
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    found = psnr(tmp_path / "out.png", tmp_path / "job" / "render.png")
    print(f"{blender.python.parents[1].name}: {found:.1f} dB (fit {report['psnr']:.1f} dB)")
    assert found > 40
    assert result["layers"] == 120
    assert 0 < result["steps_seen"] <= 40
    assert result["times_seen"]


@pytest.mark.oldest_and_newest
def test_frames_come_in_with_keys_and_render_as_the_engine_drew_them(blender: Blender, tmp_path: Path) -> None:
    for frame in range(4):
        _target(tmp_path / "frames" / f"{frame:03d}.png", shift=frame * 0.05)
    settings = _settings(tmp_path, target=tmp_path / "frames", frame_steps=10, frame_rate=12.0, blend_space='LINEAR')
    result = blender.run("fit", settings=settings, renders=[(3, tmp_path / "out.png")])
    assert result["outcome"]["failed"] is False, result
    assert result["keys"] > 0
    assert result["range"] == [1, 4]
    assert psnr(tmp_path / "out.png", tmp_path / "job" / "render" / "0003.png") > 40


@pytest.mark.oldest_and_newest
def test_cancelled_job_is_kept_resumed_to_its_end_and_exported(blender: Blender, tmp_path: Path) -> None:
    settings = _settings(tmp_path, count=400, size=256, steps=400)
    result = blender.run("cancel_and_resume", settings=settings, kill=False)
    assert result["acknowledged"] < 0.5
    assert result["after_cancel"]["text"] == "job: canceled, the best so far is kept."
    assert result["could_resume"]
    assert result["layers"] == 400
    assert result["done_at_resume"] > 0, "resume began from the beginning"
    assert result["after_resume"]["failed"] is False
    assert result["could_resume_again"] is False
    assert result["after_export"]["text"] == "job: wrote layers.psd."
    assert (tmp_path / "job" / "layers.psd").read_bytes().startswith(b"8BPS")


@pytest.mark.oldest_and_newest
def test_killed_engine_is_told_with_its_log_and_the_job_resumes(blender: Blender, tmp_path: Path) -> None:
    settings = _settings(tmp_path, count=400, size=256, steps=400)
    result = blender.run("cancel_and_resume", settings=settings, kill=True)
    assert result["after_cancel"]["failed"]
    assert "SIGKILL" in result["after_cancel"]["text"]
    assert "engine.log" in result["after_cancel"]["hint"]
    assert result["could_resume"]
    assert result["after_resume"]["failed"] is False


@pytest.mark.oldest_and_newest
def test_faults_of_the_input_are_shown_with_a_hint(blender: Blender, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    settings = _settings(tmp_path, primitives=tmp_path / "empty")
    result = blender.run("fit", settings=settings)
    assert result["outcome"]["failed"]
    assert "empty" in result["outcome"]["text"]
    assert result["outcome"]["hint"]


@pytest.mark.oldest_and_newest
def test_second_fit_into_a_job_folder_asks_before_it_replaces(blender: Blender, tmp_path: Path) -> None:
    settings = _settings(tmp_path, count=20, steps=5)
    result = blender.run("fit_twice", settings=settings)
    assert result["first"]["failed"] is False
    assert result["second"]["failed"], "it replaced a job without being told to"
    assert "holds another job" in result["second"]["text"]
    assert result["third"]["failed"] is False


@pytest.mark.oldest_and_newest
def test_command_line_of_blender_runs_the_engine_s_and_passes_its_exit_status_on(
    blender: Blender, tmp_path: Path
) -> None:
    given = _settings(tmp_path)
    job = [str(given["target"]), "--primitives", str(given["primitives"]), "--out", str(tmp_path / "a job")]
    commands = {
        "help": [],
        "fit": ["fit", *job, "--count", "20", "--size", "64", "--steps", "3"],
        "again": ["fit", *job],
        "wrong option": ["fit", *job, "--no-such-option"],
    }
    result = blender.run("command_line", commands=commands)
    statuses = {"help": 0, "fit": 0, "again": 2, "wrong option": 2}
    assert result == {"without an engine": 2, **statuses, "wrong python": 2, "left": 0}
    assert (tmp_path / "a job" / "render.png").is_file()
