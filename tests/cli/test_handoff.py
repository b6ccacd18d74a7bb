# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti render`` and ``smalti export``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, Complaint, smalti
from jobs import fill, film, mounted
from PIL import Image
from psd_tools import PSDImage

from smalti.bridge.job_file import read_job

WRITERS = pytest.mark.parametrize(
    ("command", "ending"), [(("render",), ".png"), (("export", "--psd"), ".psd")], ids=["render", "export"]
)


def test_render_writes_the_size_that_is_asked_for(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("render", job, "--size", 200) == 0
    assert capfd.readouterr().out == f"{job / 'render-200.png'}\n"
    assert Image.open(job / "render-200.png").size == (200, 133)


def test_render_without_a_size_gives_the_jobs_own_picture(job: Path) -> None:
    assert smalti("render", job) == 0
    np.testing.assert_array_equal(Image.open(job / "render-96.png"), Image.open(job / "render.png"))


def test_render_draws_any_frame(here: Path) -> None:
    assert smalti("fit", film(here / "film"), "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 2) == 0
    assert smalti("render", "out", "--frame", 2) == 0
    np.testing.assert_array_equal(
        Image.open(here / "out" / "render-64-0002.png"), Image.open(here / "out" / "render" / "0002.png")
    )


@pytest.mark.parametrize("command", ["render", "export"])
@pytest.mark.parametrize("frame", [0, 2, -1])
def test_a_frame_that_does_not_exist(job: Path, complaint: Complaint, command: str, frame: int) -> None:
    options = ("--psd",) if command == "export" else ()
    assert f"--frame is {frame}, but the job has frames 1 to 1" in complaint(command, job, "--frame", frame, *options)


@pytest.mark.parametrize("size", [0, -3, 32_769])
@WRITERS
def test_a_picture_of_a_size_that_cannot_be(
    job: Path, complaint: Complaint, size: int, command: tuple[str, ...], ending: str
) -> None:
    assert f"--size is {size}" in complaint(*command, job, "--size", size)


def test_export_writes_the_size_that_is_asked_for(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("export", job, "--psd", "--size", 200) == 0
    assert capfd.readouterr().out == f"{job / 'layers-200.psd'}\n"
    assert PSDImage.open(job / "layers-200.psd").size == (200, 133)


@WRITERS
def test_an_output_file_that_cannot_be(
    job: Path, tmp_path: Path, complaint: Complaint, command: tuple[str, ...], ending: str
) -> None:
    name = f"file{ending}"
    assert f"nowhere/{name}: cannot be written" in complaint(*command, job, "--out", tmp_path / "nowhere" / name)
    (tmp_path / name).mkdir()
    assert f"{name}: is not a file that can be replaced" in complaint(*command, job, "--out", tmp_path / name)
    with mounted(tmp_path / "disk", "size=64k") as disk:
        fill(disk)
        assert "No space left" in complaint(*command, job, "--out", disk / name)


@WRITERS
@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.psd.png.tif"])
def test_an_output_file_named_like_another_format(
    job: Path, tmp_path: Path, complaint: Complaint, command: tuple[str, ...], ending: str, name: str
) -> None:
    line = complaint(*command, job, "--out", tmp_path / name)
    assert f"{name}: " in line
    assert f"Give a name that ends in {ending}." in line
    assert not (tmp_path / name).exists()


@WRITERS
def test_the_ending_of_an_output_file_may_be_in_capitals(
    job: Path, tmp_path: Path, command: tuple[str, ...], ending: str
) -> None:
    path = tmp_path / f"PICTURE{ending.upper()}"
    assert smalti(*command, job, "--out", path) == 0
    assert path.stat().st_size


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@WRITERS
def test_a_device_is_not_replaced_by_a_file(
    job: Path, tmp_path: Path, complaint: Complaint, command: tuple[str, ...], ending: str
) -> None:
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    assert f"{pipe}: is not a file that can be replaced" in complaint(*command, job, "--out", pipe)
    assert pipe.is_fifo()


def test_export_without_a_format(job: Path, complaint: Complaint) -> None:
    assert "Add --psd" in complaint("export", job)


def test_a_job_without_enough_memory(job: Path, complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("smalti.engine.composition.Composition.atlas_showing", no_memory)
    assert "not enough memory" in complaint("render", job)


def test_a_print_is_drawn_at_its_resolution(here: Path, complaint: Complaint, job: Path) -> None:
    options = ("--print-width", "2in", "--min-size", "5mm", "--region", "mask=target.png,count=3,max=0.5in")
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, *options) == 0
    assert read_job(here / "out" / "job.json").min_size == "5mm"
    assert smalti("render", "out", "--dpi", 90, "--out", "print.png") == 0
    assert Image.open("print.png").size == (180, 120)
    assert smalti("export", "out", "--psd", "--dpi", 45) == 0
    assert PSDImage.open("out/layers-90.psd").size == (90, 60)
    assert "--dpi and --size both say how large" in complaint("render", "out", "--dpi", 90, "--size", 80)
    assert "--dpi is 1e+06, which makes 2,000,000 pixels" in complaint("render", "out", "--dpi", 1e6)
    assert "the job has no print width, which --dpi needs" in complaint("render", job, "--dpi", 90)
    assert "--min-size: invalid length value: '5 feet'" in complaint(
        "fit", "a.png", "--out", "b", "--min-size", "5 feet"
    )


# Films.


def test_export_writes_films_of_all_frames(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    assert smalti("fit", film(here / "film"), "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 2) == 0
    capfd.readouterr()
    assert smalti("export", "out", "--mp4", "--gif", "--png", "--shutter", 0.5) == 0
    printed = capfd.readouterr().out.split()
    assert printed == [str(Path("out") / name) for name in ("film.mp4", "film.gif", "film")]
    assert all((here / path).exists() for path in printed)
    assert smalti("export", "out", "--webm", "--size", 40, "--out", "small.webm") == 0
    assert (here / "small.webm").stat().st_size > 0
    assert smalti("export", "out", "--psd", "--frame", 3) == 0
    names = [layer.name for layer in PSDImage.open(here / "out" / "layers.psd")]
    assert smalti("export", "out", "--psd", "--frame", 2) == 0
    assert len(names) > 5
    assert len({layer.name for layer in PSDImage.open(here / "out" / "layers.psd")} & set(names)) > 5


def test_render_with_the_shutter_open(here: Path) -> None:
    assert smalti("fit", film(here / "film"), "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 4) == 0
    assert smalti("render", "out", "--frame", 2, "--shutter", 1, "--out", "blurred.png") == 0
    assert smalti("render", "out", "--frame", 2, "--shutter", 0, "--out", "sharp.png") == 0
    sharp, blurred = (np.asarray(Image.open(here / f"{name}.png")) for name in ("sharp", "blurred"))
    np.testing.assert_array_equal(sharp, Image.open(here / "out" / "render" / "0002.png"))
    assert (sharp != blurred).any()


@pytest.mark.parametrize(("options", "message"), [
    (("--mp4", "--frame", "1"), "--frame chooses one frame, but --mp4 writes all"),
    (("--psd", "--shutter", "0.5"), "--psd has a layer for each sprite, which --shutter cannot blur"),
    (("--mp4", "--shutter", "1.5"), "--shutter is 1.5, but must be from 0 to 1"),
    (("--mp4", "--out", "film.webm"), "--mp4 writes another kind of file"),
    (("--png", "--out", "film.png"), "--png writes another kind of file"),
    (("--webm", "--size", "9000"), "a film may have 8,192 pixels on its longer side, not 9,000"),
])  # fmt: skip
def test_what_a_film_cannot_be(job: Path, complaint: Complaint, options: tuple[str, ...], message: str) -> None:
    pytest.importorskip("av")
    assert message in complaint("export", job, *options)
