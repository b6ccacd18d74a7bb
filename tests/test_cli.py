# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it does, and its one line about each thing that a user can get wrong."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
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
    fill,
    film,
    mounted,
    pixels_of,
    png_that_declares,
    ramp,
    save,
    small_job,
)
from PIL import Image, ImageFont

from smalti.bridge.job import RegionSpec, read_job
from smalti.bridge.version import VERSION
from smalti.engine import cli, doctor
from smalti.engine.composition import load_composition, read_arrays
from smalti.engine.job import checkpoint, run
from smalti.engine.job.run import run_job

QUICK = ("--count", "12", "--steps", "3")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with target.png and the folder of bitmaps `marks`."""
    save(tmp_path / "target.png", ramp(48, 32))
    bitmaps(tmp_path / "marks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job, not to be changed."""
    folder = tmp_path_factory.mktemp("done")
    run_job(small_job(folder), folder / "job")
    return folder / "job"


@pytest.fixture
def job(done: Path, tmp_path: Path) -> Path:
    """A finished job."""
    return shutil.copytree(done, tmp_path / "finished")


def smalti(*arguments: object) -> int | str | None:
    """Run a command in this process."""
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as leaving:  # argparse's way
        return leaving.code


@pytest.fixture
def complaint(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail: exit status 2, nothing on stdout, and on stderr the one line that is returned."""

    def run_it(*arguments: object) -> str:
        capfd.readouterr()
        assert smalti(*arguments) == 2
        told = capfd.readouterr()
        assert told.out == ""
        assert re.fullmatch(r"smalti: [^\n]+\n", told.err), told.err
        assert "unexpectedly" not in told.err
        return told.err

    return run_it


Complaint = Callable[..., str]


def fit_complaint(
    complaint: Complaint, *more: object, target: object = "target.png", primitives: object = "marks"
) -> str:
    """A fit into the folder `out` that must fail and leave no such folder."""
    line = complaint("fit", target, "--primitives", primitives, "--out", "out", *QUICK, *more)
    assert not Path("out").exists()
    return line


# Fit.


def test_an_estimate_says_how_long_each_preset_takes_and_writes_nothing(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert cli.main(["estimate", "target.png", "--primitives", "marks", "--count", "12", "--steps", "40"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["draft", "balanced", "best"]
    assert all(re.fullmatch(r"\w+ +40 steps +about [\d.]+ s", line) for line in lines)
    assert contents(here) == before
    assert cli.main(["estimate", "none.png", "--primitives", "marks"]) == 2
    assert "none.png" in capfd.readouterr().err


@pytest.mark.parametrize("preset", ["draft", "balanced", "published"])
def test_an_estimate_for_one_preset_says_nothing_of_the_others(
    here: Path, capfd: pytest.CaptureFixture[str], preset: str
) -> None:
    settings = ("target.png", "--primitives", "marks", "--count", "12", "--steps", "40", "--preset", preset)
    assert smalti("estimate", *settings) == 0
    assert re.fullmatch(rf"{preset} +40 steps +about [\d.]+ s\n", capfd.readouterr().out)


def test_an_estimate_for_a_film_tells_the_steps_that_the_fit_takes(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = (film(here / "film"), "--primitives", "marks", "--count", "12", "--preset", "draft")
    assert smalti("estimate", *settings) == 0
    told = capfd.readouterr().out
    assert smalti("fit", *settings, "--out", "out") == 0
    steps = json.loads((here / "out" / "report.json").read_text())["steps"]
    assert re.search(r"(\d+) steps \((\d+) for the first frame\) +about", told)
    total, first = map(int, re.findall(r"\d+", told)[:2])
    assert total == steps > first


def test_an_estimate_is_about_what_the_fit_then_takes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = ["target.png", "--primitives", "marks", "--count", "200", "--size", "128", "--steps", "200"]
    assert cli.main(["estimate", *settings]) == 0
    told = float(re.search(r"balanced.*about ([\d.]+) s", capfd.readouterr().out)[1])  # type: ignore[index]
    assert cli.main(["fit", *settings, "--out", "out"]) == 0
    took = json.loads((here / "out" / "report.json").read_text())["seconds"]
    assert took / 6 < told < 6 * took  # other work on the machine comes and goes


def test_a_fit_says_what_it_made_and_nothing_else(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK) == 0
    told = capfd.readouterr()
    assert re.fullmatch(r"out: 12 sprites, 3 steps, \d+\.\d\d dB, \d+\.\d s\n", told.out)
    assert told.err == ""
    assert load_composition(here / "out").header.sprites == 12


def test_verbose_tells_what_was_chosen(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "-v") == 0
    err = capfd.readouterr().err
    assert "smalti: Canvas 48 x 32, 12 sprites" in err
    assert "smalti: Done after 3 steps" in err


def test_every_option_reaches_the_job(here: Path) -> None:
    save(here / "mask.png", np.full((8, 8), 255, np.uint8))
    save(here / "holes.png", np.zeros((8, 8), np.uint8))
    save(here / "target.png", badge(48))
    options = {
        "count": 9, "size": 40, "steps": 2, "mix": 0.25, "mask": "none", "min-size": 4, "max-size": 30,
        "alpha-max": 0.75, "background": "#102030", "blend-space": "linear", "target-mask": "mask.png",
        "loss": "l1+0.3*ssim", "weight-map": "mask.png", "detail-weight": 0.5,
        "frame-steps": 5, "frame-rate": 12.5, "seed": 77, "device": "reference", "palette": "#000000,#FFffFF",
        "rotation-steps": 1, "keep-in": "mask.png", "keep-out": "holes.png", "min-visibility": 0.1, "max-overlap": 3.5,
        "even-coverage": 0.25,
    }  # fmt: skip
    flags = [text for name, value in options.items() for text in (f"--{name}", value)]
    fitted = smalti(
        "fit", "target.png", "--primitives", "marks", "--out", "out", "--lock-rotation", "--lock-scale",
        "--inside-outline", *flags,
    )  # fmt: skip
    assert fitted == 0
    asked = read_job(here / "out" / "job.json")
    options["colour-mix"] = options.pop("mix")
    options["target-mask"] = options["keep-in"] = options["weight-map"] = str(here / "mask.png")
    options["keep-out"] = str(here / "holes.png")
    options["palette"] = ("#000000", "#ffffff")
    for name, value in options.items():
        assert getattr(asked, name.replace("-", "_")) == value
    assert asked.lock_rotation
    assert asked.lock_scale
    assert asked.inside_outline


def test_every_setting_of_a_region_reaches_the_job(here: Path) -> None:
    save(here / "mask, left.png", np.array([[255, 0]], np.uint8).repeat(8, axis=0).repeat(8, axis=1))
    bitmaps(here / "petals")
    regions = (
        "mask=mask, left.png,count=5,min=4,max=9.5,primitives=petals,confine",
        "confine,count=6,mask=mask, left.png",
        "count=7,mask=mask, left.png",
    )
    given = [text for region in regions for text in ("--region", region)]
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, *given) == 0
    mask = str(here / "mask, left.png")
    assert read_job(here / "out" / "job.json").regions == (
        RegionSpec(mask, 5, 4.0, 9.5, str(here / "petals"), confine=True),
        RegionSpec(mask, 6, confine=True),
        RegionSpec(mask, 7),
    )
    assert len(load_composition(here / "out").template) == 12 + 5 + 6 + 7


def test_regions_with_bitmaps_of_their_own_are_something_to_build_with(here: Path) -> None:
    save(here / "mask.png", np.full((8, 8), 255, np.uint8))
    region = ("--region", "mask=mask.png,count=5,primitives=marks", "--count", "0", "--steps", "3")
    assert smalti("fit", "target.png", "--out", "out", *region) == 0
    assert [t.name for t in load_composition(here / "out").templates] == ["mask bar", "mask disc"]


def test_letters_alone_or_beside_bitmaps_are_something_to_build_with(here: Path) -> None:
    assert smalti("fit", "target.png", "--text", "SMALTI", "--out", "out", *QUICK) == 0
    assert [t.name for t in load_composition(here / "out").templates] == list("SMALTI")
    beside = ("--primitives", "marks", "--text", "two words", "--text-split", "words")
    assert smalti("fit", "target.png", *beside, "--out", "beside", *QUICK) == 0
    assert [t.name for t in load_composition(here / "beside").templates] == ["bar", "disc", "two", "words"]


def test_every_option_of_text_reaches_the_job(here: Path) -> None:
    built_in = ImageFont.load_default(10)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    (here / "plain.ttf").write_bytes(built_in.font_bytes)
    text = ("--text", "a b", "--font", "plain.ttf", "--text-split", "words")
    assert smalti("fit", "target.png", *text, "--out", "out", *QUICK) == 0
    asked = read_job(here / "out" / "job.json")
    assert (asked.primitives, asked.text, asked.text_split) == (None, "a b", "words")
    assert asked.font == str(here / "plain.ttf")


def test_drawings_are_something_to_build_with(here: Path) -> None:
    (here / "dot.svg").write_text('<svg viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>')
    assert smalti("fit", "target.png", "--primitives", "dot.svg", "--out", "out", *QUICK) == 0
    assert [t.name for t in load_composition(here / "out").templates] == ["dot"]


def test_paths_outside_ascii_and_very_long_ones_work(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    deep = here.joinpath(*(f"Ordner mit Blättern und 花 {n} {'x' * 80}" for n in range(3)))
    target, primitives, out = deep / "Bild 絵.png", deep / "marques d'été", deep / "Ergebnis äöü"
    assert len(str(out)) > 260
    save(target, ramp(48, 32))
    bitmaps(primitives)
    assert smalti("fit", target, "--primitives", primitives, "--out", out, *QUICK) == 0
    assert smalti("render", out, "--out", deep / "größer.png", "--size", 100) == 0
    assert smalti("export", out, "--psd") == 0
    assert str(out / "layers.psd") in capfd.readouterr().out
    assert Image.open(deep / "größer.png").size == (100, 67)


def test_a_folder_name_that_is_no_text_works(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9")
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", name, *QUICK) == 0
    assert "caf\\udce9: 12 sprites" in capfd.readouterr().out
    assert smalti("render", name) == 0


def test_relative_paths_are_kept_as_absolute_ones(here: Path) -> None:
    (here / "sub").mkdir()
    os.chdir(here / "sub")
    assert smalti("fit", "../target.png", "--primitives", "../marks", "--out", "../out", *QUICK) == 0
    asked = read_job(here / "out" / "job.json")
    assert Path(asked.target).is_absolute()
    assert Path(asked.target).samefile(here / "target.png")
    assert Path(asked.primitives).samefile(here / "marks")


def test_broken_bitmaps_are_named_and_the_others_serve(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = (here / "marks" / "disc.png").read_bytes()
    broken = {"half.png": whole[: len(whole) // 2], "zero.png": b"", "huge.png": png_that_declares(100_000, 100_000)}
    broken["text.png"] = b"hello"
    for name, data in broken.items():
        (here / "marks" / name).write_bytes(data)
    save(here / "marks" / "clear.png", np.zeros((8, 8, 4), np.uint8))
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK) == 0
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 5
    for name in (*broken, "clear.png"):
        (line,) = (line for line in lines if name in line)
        assert line.startswith("smalti: Left out: ")
    assert [t.name for t in load_composition(here / "out").templates] == ["bar", "disc"]


def test_the_target_may_be_an_animation_or_have_the_wrong_ending(here: Path) -> None:
    first, second = Image.fromarray(ramp(48, 32)), Image.fromarray(255 - ramp(48, 32))
    first.save(here / "moves.gif", save_all=True, append_images=[second])
    (here / "moves.gif").rename(here / "moves.jpg")
    assert smalti("fit", "moves.jpg", "--primitives", "marks", "--out", "out", "--count", 60, "--steps", 40) == 0
    assert decibels(pixels_of(here / "out" / "render.png"), pixels_of(here / "target.png")) > 20


def test_a_link_as_target_and_links_as_bitmaps_are_followed(here: Path) -> None:
    (here / "link.png").symlink_to("target.png")
    (here / "links").mkdir()
    (here / "links" / "bar.png").symlink_to(here / "marks" / "bar.png")
    (here / "links" / "gone.png").symlink_to(here / "nowhere.png")
    assert smalti("fit", "link.png", "--primitives", "links", "--out", "out", *QUICK) == 0
    assert [t.name for t in load_composition(here / "out").templates] == ["bar"]


def test_overwrite_replaces_a_job(here: Path) -> None:
    for seed in (1, 2):
        assert (
            smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "--overwrite", "--seed", seed)
            == 0
        )
    assert read_job(here / "out" / "job.json").seed == 2


# Bad input, thing by thing.


def test_a_missing_target(here: Path, complaint: Complaint) -> None:
    assert "missing.png: does not exist" in fit_complaint(complaint, target="missing.png")


def test_missing_primitives(here: Path, complaint: Complaint) -> None:
    assert "nowhere: does not exist" in fit_complaint(complaint, primitives="nowhere")


def test_an_empty_folder_of_primitives(here: Path, complaint: Complaint) -> None:
    (here / "empty").mkdir()
    assert "empty: is empty" in fit_complaint(complaint, primitives="empty")


def test_a_folder_with_only_text(here: Path, complaint: Complaint) -> None:
    (here / "texts").mkdir()
    (here / "texts" / "poem.txt").write_text("O rose")
    wanted = "texts: holds no pictures. Choose a folder of PNG, JPEG, WebP, TIFF, GIF or SVG files."
    assert wanted in fit_complaint(complaint, primitives="texts")
    wanted = "texts: holds no pictures. Choose a folder of PNG, JPEG, WebP, TIFF or GIF files."
    assert wanted in fit_complaint(complaint, target="texts")


def test_an_empty_folder_as_target(here: Path, complaint: Complaint) -> None:
    (here / "empty").mkdir()
    assert "empty: is empty" in fit_complaint(complaint, target="empty")


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda whole: whole[: len(whole) * 2 // 3], "is damaged or incomplete"),
    "zero bytes": (lambda whole: b"", "is empty (0 bytes)"),
    "text": (lambda whole: b"no picture at all", "is not a picture"),
    "100,000 x 100,000": (lambda whole: png_that_declares(100_000, 100_000), "is too large"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("role", ["target", "primitives", "background", "target-mask"])
def test_a_broken_picture(here: Path, complaint: Complaint, kind: str, role: str) -> None:
    damage, words = BROKEN[kind]
    (here / "broken.png").write_bytes(damage((here / "target.png").read_bytes()))
    if role in ("target", "primitives"):
        line = fit_complaint(complaint, **{role: "broken.png"})
    else:
        line = fit_complaint(complaint, f"--{role}", "broken.png")
    assert f"broken.png: {words}" in line


def test_a_broken_drawing(here: Path, complaint: Complaint) -> None:
    (here / "broken.svg").write_text("<svg><g></svg>")
    assert "broken.svg: is damaged, or no SVG (mismatched tag" in fit_complaint(complaint, primitives="broken.svg")


def test_a_drawing_as_target(here: Path, complaint: Complaint) -> None:
    (here / "dot.svg").write_text('<svg viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>')
    assert "dot.svg: is not a picture" in fit_complaint(complaint, target="dot.svg")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--text", " \n"), "--text is ' \\n', but must be at most 10,000 characters, not all of them blank"),
        (("--text", "a" * 10_001), "but must be at most 10,000 characters"),
        (("--text", "猫"), "The text '猫' has no character that the built-in font can show"),
        (("--text", "a", "--font", "none.ttf"), "none.ttf: does not exist"),
        (("--text", "a", "--font", "target.png"), "target.png: is no font"),
        (("--font", "font.ttf"), "--font is 'font.ttf', but must be left out where no text is given"),
        (("--text-split", "words"), "--text-split is 'words', but must be left out where no text is given"),
        (("--text-split", "glyphs"), "--text-split is 'glyphs', but must be left out where no text is given"),
        (("--text", "👨\u200d👩\u200d👧\n猫"), "The text '👨\u200d👩\u200d👧 猫' has no character"),
        (("--text", "a", "--text-split", "lines"), "invalid choice: 'lines'"),
    ],
)
def test_bad_text(here: Path, complaint: Complaint, options: tuple[str, ...], words: str) -> None:
    assert words in fit_complaint(complaint, *options)


def test_a_fully_transparent_bitmap(here: Path, complaint: Complaint) -> None:
    save(here / "clear.png", np.zeros((8, 8, 4), np.uint8))
    assert "clear.png: is fully transparent" in fit_complaint(complaint, primitives="clear.png")


def test_a_fully_transparent_target(here: Path, complaint: Complaint) -> None:
    save(here / "clear.png", np.zeros((48, 48, 4), np.uint8))
    assert "clear.png: is transparent everywhere" in fit_complaint(complaint, target="clear.png")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (5000, 2)])
def test_a_target_too_small_or_too_narrow(here: Path, complaint: Complaint, width: int, height: int) -> None:
    save(here / "tiny.png", ramp(width, height))
    assert f"tiny.png: is too small or too narrow to be rebuilt ({width} x {height}" in fit_complaint(
        complaint, target="tiny.png"
    )


def test_a_black_mask(here: Path, complaint: Complaint) -> None:
    save(here / "night.png", np.zeros((8, 8), np.uint8))
    assert "night.png: the target mask is black" in fit_complaint(complaint, "--target-mask", "night.png")


def test_a_black_weight_map(here: Path, complaint: Complaint) -> None:
    save(here / "night.png", np.zeros((8, 8), np.uint8))
    assert "night.png: the weight map is black" in fit_complaint(complaint, "--weight-map", "night.png")


def test_a_file_that_holds_no_weights(here: Path, complaint: Complaint) -> None:
    assert "target.png: holds no weights" in fit_complaint(complaint, "--loss", "vgg", "--vgg-weights", "target.png")


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--count", "0", "--count is 0"),
        ("--count", "-5", "--count is -5"),
        ("--count", "1000000000", "--count is 1000000000"),
        ("--count", "many", "--count: invalid int value: 'many'"),
        ("--size", "15", "--size is 15"),
        ("--size", "20000", "--size is 20000"),
        ("--steps", "0", "--steps is 0"),
        ("--mix", "1.5", "--mix is 1.5"),
        ("--mix", "nan", "--mix is nan"),
        ("--min-size", "0", "--min-size is 0"),
        ("--min-size", "1e308", "--min-size is 1e+308"),
        ("--max-size", "inf", "--max-size is inf"),
        ("--alpha-max", "0", "--alpha-max is 0"),
        ("--background", "#fff", "--background is '#fff'"),
        ("--background", "white", "white: does not exist"),
        ("--target-mask", "missing.png", "missing.png: does not exist"),
        ("--loss", "mse+psnr", "--loss is 'mse+psnr', but must be a sum of terms"),
        ("--loss", "vgg", "--vgg-weights is missing, but must be the path of VGG16's weights"),
        ("--vgg-weights", "vgg16.pth", "--vgg-weights is 'vgg16.pth', but must be left out"),
        ("--weight-map", "missing.png", "missing.png: does not exist"),
        ("--detail-weight", "1.5", "--detail-weight is 1.5"),
        ("--frame-rate", "0", "--frame-rate is 0"),
        ("--frame-steps", "-1", "--frame-steps is -1"),
        ("--seed", "-1", "--seed is -1"),
        ("--device", "abacus", "--device is 'abacus'"),
        ("--device", "cuda", "--device is 'cuda'"),
        ("--mask", "chroma", "--mask: invalid choice: 'chroma'"),
        ("--palette", "#102030,red", "--palette: 'red' is no colour"),
        ("--palette", "#12345", "--palette: '#12345' is no colour"),
        ("--palette", "#102030,,#405060", "--palette: '' is no colour"),
        ("--palette", "add", "add: does not exist"),
        ("--palette", "missing.gpl", "missing.gpl: does not exist"),
        ("--palette", "target.png", "target.png: is not a text"),
        ("--palette", "marks", "marks: cannot be read"),
        ("--rotation-steps", "0", "--rotation-steps is 0"),
        ("--min-visibility", "0.95", "--min-visibility is 0.95, but must be from 0 to 0.9 times --alpha-max (1)"),
        ("--min-visibility", "nan", "--min-visibility is nan"),
        ("--max-overlap", "0", "--max-overlap is 0"),
        ("--even-coverage", "2", "--even-coverage is 2.0"),
        ("--keep-in", "missing.png", "missing.png: does not exist"),
        ("--keep-out", "missing.png", "missing.png: does not exist"),
        ("--region", "", "--region : '' is no setting of a region. Write it as mask=FILE,count=N"),
        ("--region", "face.png", "--region face.png: 'face.png' is no setting of a region"),
        ("--region", "mask=face.png", "--region mask=face.png: count is missing"),
        ("--region", "count=5", "--region count=5: mask is missing"),
        ("--region", "mask=face.png,count=many", "count is 'many', but must be a whole number"),
        ("--region", "mask=face.png,count=5,max=large", "max is 'large', but must be a number"),
        ("--region", "mask=face.png,count=5,count=6", "count is given twice"),
        ("--region", "count=5,size=6,mask=face.png", "'size=6' is no setting of a region"),
        ("--region", "mask=face.png,count=0", "count of region 1 is 0"),
        ("--region", "mask=face.png,count=5,min=nan", "min of region 1 is nan"),
        ("--region", "mask=face.png,count=5,min=9,max=4", "min of region 1 is 9.0, but must be at most max (4.0)"),
        ("--region", "mask=missing.png,count=5", "missing.png: does not exist"),
        ("--region", "mask=target.png,count=5,primitives=missing", "missing: does not exist"),
        ("--blend-space", "cmyk", "--blend-space: invalid choice: 'cmyk'"),
        ("--colour", "red", "unrecognized arguments: --colour red"),
    ],
)
def test_a_setting_that_cannot_be(
    here: Path, complaint: Complaint, option: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.engine.job.device.available_devices", lambda: ("cpu", "reference"))
    assert named in fit_complaint(complaint, option, value)


def test_a_palette_and_the_bitmaps_own_colours(here: Path, complaint: Complaint) -> None:
    assert "--palette is #102030, but must be left out with --mix 1" in fit_complaint(
        complaint, "--palette", "#102030", "--mix", "1"
    )


def test_upright_and_turned_at_once(here: Path, complaint: Complaint) -> None:
    assert "--rotation-steps is 4, but must be left out with --lock-rotation" in fit_complaint(
        complaint, "--rotation-steps", "4", "--lock-rotation"
    )


def test_a_smallest_size_above_the_largest(here: Path, complaint: Complaint) -> None:
    assert "--min-size is 20.0, but must be at most --max-size (10.0)" in fit_complaint(
        complaint, "--min-size", "20", "--max-size", "10"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "required: COMMAND"),
        (("dance",), "invalid choice: 'dance'"),
        (("fit",), "required: TARGET, --out"),
        (("fit", "target.png", "--out", "out"), "There is nothing to build with. Give --primitives FOLDER, --text"),
        (("render",), "required: JOB"),
        (("fit", "", "--primitives", "marks", "--out", "out"), "target is ''"),
    ],
)
def test_an_incomplete_command(here: Path, complaint: Complaint, arguments: tuple[str, ...], named: str) -> None:
    assert named in complaint(*arguments)


def test_frames_of_different_sizes(here: Path, complaint: Complaint) -> None:
    save(film(here / "film") / "02.png", ramp(64, 64))
    assert "02.png: is 64 x 64 pixels, which does not fit the first frame" in fit_complaint(complaint, target="film")


def test_frames_of_one_shape_in_two_sizes_are_brought_to_one(here: Path) -> None:
    save(film(here / "film") / "02.png", ramp(128, 96))
    assert smalti("fit", "film", "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 2) == 0


@pytest.mark.parametrize("kind", ["zero bytes", "text", "100,000 x 100,000"])
def test_a_broken_frame_is_found_before_the_first_step(here: Path, complaint: Complaint, kind: str) -> None:
    damage, words = BROKEN[kind]
    path = film(here / "film") / "03.png"
    path.write_bytes(damage(path.read_bytes()))
    assert f"03.png: {words}" in fit_complaint(complaint, target="film")


# Bad output.


def test_an_output_folder_that_holds_another_job(here: Path, job: Path, complaint: Complaint) -> None:
    before = contents(job)
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", job, *QUICK)
    assert "holds another job" in line
    assert contents(job) == before


def test_an_output_folder_with_other_files(here: Path, complaint: Complaint) -> None:
    before = contents(here)
    for options in ((), ("--overwrite",)):
        assert f"{here / 'marks'}: is not empty" in complaint(
            "fit", "target.png", "--primitives", "marks", "--out", here / "marks", *QUICK, *options
        )
    assert contents(here) == before


def test_the_targets_own_folder_as_output(here: Path, complaint: Complaint) -> None:
    assert ".: is not empty" in complaint("fit", "target.png", "--primitives", "marks", "--out", ".", *QUICK)


def test_an_output_folder_below_a_file(here: Path, complaint: Complaint) -> None:
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", "target.png/job", *QUICK)
    assert "target.png/job: cannot be created (Not a directory)" in line


def test_an_output_folder_with_a_name_too_long(here: Path, complaint: Complaint) -> None:
    line = complaint("fit", "target.png", "--primitives", "marks", "--out", "new/" + "o" * 300, *QUICK)
    assert "File name too long" in line
    assert not (here / "new").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
def test_an_output_folder_where_nothing_can_be_created(here: Path, complaint: Complaint) -> None:
    assert "/proc/job: cannot be created" in complaint(
        "fit", "target.png", "--primitives", "marks", "--out", "/proc/job", *QUICK
    )


def test_a_read_only_disk(here: Path, complaint: Complaint) -> None:
    with mounted(here / "disk", "ro"):
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "disk/job", *QUICK)
    assert "disk/job: cannot be created (Read-only file system)" in line


def test_a_full_disk(here: Path, complaint: Complaint) -> None:
    with mounted(here / "disk", "size=256k") as disk:
        fill(disk)
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "disk/job", *QUICK)
        assert "No space left" in line
        assert "Free some space" in line
        assert set(contents(disk)) == {"filler"}


def test_a_disk_that_fills_up_on_the_way_keeps_a_job_that_goes_on_later(
    here: Path, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    write_arrays, writes = checkpoint.write_arrays, 0

    def nearly_full(path: Path, arrays: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_arrays(path, arrays)

    with monkeypatch.context() as full:
        full.setattr(checkpoint, "write_arrays", nearly_full)
        line = complaint("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK)
    assert "checkpoint.npz: the disk is full. Free some space" in line
    assert int(read_arrays(here / "out" / "checkpoint.npz")["done"]) == 1
    assert smalti("resume", "out") == 0
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "whole", *QUICK) == 0
    assert (here / "out" / "frames.npz").read_bytes() == (here / "whole" / "frames.npz").read_bytes()


# Job folders that are not as they should be.


def edit(path: Path, **changes: Any) -> None:
    """Change a JSON file by hand; NaN is written as Python writes it."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour_mix": float("nan")}, "NaN"),
        ({"sparkle": True}, "unknown key 'sparkle'"),
        ({"version": 99}, "is version 99"),
        ({"count": "many"}, "'count' must be a whole number"),
        ({"count": 0}, "count is 0"),
        ({"format": "recipe"}, "is not a smalti-job file"),
    ],
)
def test_a_job_file_that_cannot_be(job: Path, complaint: Complaint, changes: dict[str, Any], named: str) -> None:
    edit(job / "job.json", **changes)
    before = contents(job)
    assert named in complaint("resume", job)
    assert contents(job) == before


def test_a_job_file_with_a_relative_path_is_looked_for_in_the_current_folder(here: Path, complaint: Complaint) -> None:
    out = here / "out"
    asked = small_job(here / "pictures")
    stop = iter([False, True])
    run_job(asked, out, should_stop=lambda: next(stop))
    edit(out / "job.json", target="pictures/target.png", primitives="gone")
    os.chdir(out)
    assert "pictures/target.png: does not exist" in complaint("resume", out)
    os.chdir(here)
    assert smalti("resume", out) == 0


def test_resume_of_a_finished_job(job: Path, complaint: Complaint) -> None:
    assert "this job is finished" in complaint("resume", job)


def test_resume_without_a_job(here: Path, complaint: Complaint) -> None:
    assert "marks: holds no Smalti job" in complaint("resume", "marks")


def test_resume_from_a_damaged_checkpoint(job: Path, complaint: Complaint) -> None:
    (job / "checkpoint.npz").write_bytes((job / "frames.npz").read_bytes()[:-100])
    assert "checkpoint.npz: cannot be read" in complaint("resume", job)
    shutil.copy(job / "frames.npz", job / "checkpoint.npz")
    assert "checkpoint.npz: does not fit its job" in complaint("resume", job)


@pytest.mark.parametrize("command", [("render",), ("export", "--psd")], ids=["render", "export"])
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda job: edit(job / "composition.json", version=99), "composition.json: is version 99"),
        (lambda job: edit(job / "composition.json", sparkle=1), "composition.json: unknown key 'sparkle'"),
        (lambda job: edit(job / "composition.json", background="#12"), "'background' is out of range"),
        (lambda job: (job / "composition.json").unlink(), "holds no finished composition"),
        (lambda job: (job / "templates" / "0001.png").unlink(), "0001.png: does not exist"),
        (lambda job: (job / "frames.npz").write_bytes(b"PK"), "frames.npz: cannot be read"),
        (lambda job: np.savez(job / "frames.npz", x=np.zeros(3)), "frames.npz: the array 'template' is missing"),
        (
            lambda job: np.savez(job / "frames.npz", **{**arrays_of(job), "y": np.full((1, 24), np.nan)}),
            "frames.npz: 'y' holds a value that is not a finite number",
        ),
        (
            lambda job: np.savez(job / "frames.npz", **{**arrays_of(job), "x": np.array([{}], dtype=object)}),
            "frames.npz: cannot be read (Object arrays cannot be loaded",
        ),
    ],
)
def test_a_composition_that_cannot_be(
    job: Path, complaint: Complaint, command: tuple[str, ...], spoil: Callable[[Path], Any], named: str
) -> None:
    spoil(job)
    before = contents(job)
    assert named in complaint(*command, job)
    assert contents(job) == before


# Render and export.

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
def test_a_picture_of_a_size_that_cannot_be(job: Path, complaint: Complaint, size: int) -> None:
    assert f"--size is {size}" in complaint("render", job, "--size", size)


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

    monkeypatch.setattr("smalti.engine.composition.Composition.atlas", no_memory)
    assert "not enough memory" in complaint("render", job)


# Faults of our own.


def broken(*_: object) -> None:
    raise ZeroDivisionError("on\npurpose")


def test_a_fault_of_smaltis_own_is_one_line_and_with_verbose_the_whole_story(
    job: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.engine.composition.Composition.atlas", broken)
    assert smalti("render", job) == 2
    line = capfd.readouterr().err
    assert re.fullmatch(r"smalti: Smalti failed unexpectedly: ZeroDivisionError[^\n]*--verbose[^\n]*\n", line)
    with pytest.raises(ZeroDivisionError):
        smalti("render", job, "--verbose")


def test_the_log_handlers_are_taken_down_again(job: Path) -> None:
    before = list(cli.logger.handlers)
    smalti("render", job)
    smalti("render", "nowhere")
    assert cli.logger.handlers == before


# Doctor, version, help.


def test_doctor_finds_this_machine_good(capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("doctor") == 0
    out = capfd.readouterr().out
    for name in (
        "Smalti",
        "torch",
        "numpy",
        "pillow",
        "psd-tools",
        "resvg_py",
        "wcwidth",
        "tqdm",
        "CPU kernels",
        "devices",
        "disk",
    ):
        assert f"ok      {name}: " in out


def test_doctor_names_what_is_missing_and_what_to_do(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psd_tools", None)
    assert smalti("doctor") == 1
    out = capfd.readouterr().out
    assert "MISSING psd-tools: cannot be imported" in out
    assert "pip install psd-tools" in out
    assert "ok      torch: " in out


def test_doctor_tells_of_kernels_that_do_not_run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.engine.cpu._native.forward", broken)
    monkeypatch.setattr(doctor, "available_devices", lambda: ("cpu", "reference"))
    monkeypatch.setattr(doctor, "default_device", lambda: "cpu")
    assert smalti("doctor") == 1
    out = capfd.readouterr().out
    assert "MISSING CPU kernels: do not run" in out
    assert "MISSING devices: reference; auto means cpu, which does not work" in out
    assert out.count("pip install --force-reinstall --no-deps .\n") == 2


def test_doctor_does_not_count_the_cpu_among_the_devices_where_only_the_gpu_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smalti.engine.cpu._native.forward", broken)
    monkeypatch.setattr(doctor, "available_devices", lambda: ("cuda", "cpu", "reference"))
    monkeypatch.setattr(doctor, "default_device", lambda: "cuda")
    (devices,) = (check for check in doctor.checks() if check.name == "devices")
    assert (devices.good, devices.found) == (True, "cuda, reference; auto means cuda")


def test_doctor_tells_of_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=10 * 2**20))
    (disk,) = (check for check in doctor.checks() if check.name == "disk")
    assert not disk.good
    assert "10 MB free" in disk.found


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("--version") == 0
    assert capfd.readouterr().out == f"smalti {VERSION}\n"
    assert smalti("fit", "--help") == 0
    assert "--primitives FOLDER" in capfd.readouterr().out


# A process of its own.


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "smalti.engine", *map(str, arguments)]


def buffered() -> dict[str, str]:
    """The environment without what makes Python write at once: as most users have it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_in_a_pipe_there_is_no_bar_and_a_reader_that_left_is_no_fault(here: Path) -> None:
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK)
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as nobody_reads:
        ended = subprocess.run(fitted, stdout=nobody_reads, stderr=subprocess.PIPE, env=buffered(), check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (here / "out" / "report.json").exists()


def test_a_closed_stderr_and_a_narrow_encoding_are_no_fault(here: Path) -> None:
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "wäld", *QUICK)
    closed = ["sh", "-c", 'exec 2>&-; exec "$@"', "sh", *fitted]
    environment = {**buffered(), "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(closed, stdout=subprocess.PIPE, env=environment, check=False)
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"w\\xe4ld: 12 sprites")


def test_closed_streams_are_no_fault(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert smalti("render", job) == 0
    assert smalti("render", "nowhere") == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_told(job: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command("render", job), stdout=full, stderr=subprocess.PIPE, env=buffered(), check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"smalti: The disk is full.")
    assert ended.stderr.count(b"\n") == 1


def test_on_a_terminal_there_is_a_bar_and_it_goes_away(here: Path) -> None:
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "out", "--count", 12, "--steps", 5000)
    with subprocess.Popen(fitted, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while select.select([master], [], [], 60)[0] and (chunk := os.read(master, 4096)):
                shown += chunk
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert b"12 sprites, 5000 steps" in process.stdout.read()
    os.close(master)
    assert re.search(rb"fit: +\d+%.*\d+/5000 .*loss=0\.\d+", shown)
    assert shown.count(b"\r") > 1
    # What remains on the line is blank.
    assert shown.split(b"\r")[-2].strip() in (b"", b"\x1b[A")


def running(out: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """A fit of many steps, just begun."""
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", out, "--count", 12, "--steps", *arguments)
    process = subprocess.Popen(fitted, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (out / "job.json").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_keeps_the_best_so_far_and_the_job_goes_on_later(here: Path) -> None:
    process = running(here / "out", 800)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(rb"smalti: stopped; [^\n]*smalti resume [^\n]*out\n", err)
    assert b"12 sprites" in out
    report = json.loads((here / "out" / "report.json").read_text())
    assert report["cancelled"]
    assert report["steps"] < 800
    assert load_composition(here / "out").header.sprites == 12
    assert smalti("resume", "out") == 0
    assert json.loads((here / "out" / "report.json").read_text())["steps"] == 800
    run_job(read_job(here / "out" / "job.json"), here / "whole")
    assert (here / "out" / "frames.npz").read_bytes() == (here / "whole" / "frames.npz").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_process_at_work_keeps_others_out_and_lets_go_when_it_ends(here: Path, complaint: Complaint) -> None:
    process = running(here / "out", 1_000_000)
    try:
        assert "another Smalti is at work" in complaint("resume", "out")
        assert "another Smalti is at work" in complaint(
            "fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "--overwrite"
        )
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "--overwrite") == 0


def test_a_second_ctrl_c_stops_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*_: object, should_stop: Callable[[], bool], **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert should_stop()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("should have been interrupted")

    monkeypatch.setattr(run, "run_job", impatient)
    before = signal.getsignal(signal.SIGINT)
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_job_can_be_of_a_transparent_picture(here: Path) -> None:
    save(here / "badge.png", badge())
    assert smalti("fit", "badge.png", "--primitives", "marks", "--out", "out", *QUICK) == 0
    assert Image.open(here / "out" / "render.png").getextrema()[3][0] == 0
