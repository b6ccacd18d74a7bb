# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti fit``: what it makes of what it is given."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, smalti
from jobs import badge, bitmaps, decibels, pixels_of, png_that_declares, ramp, save
from PIL import Image, ImageFont

from smalti.bridge.job import RegionSpec
from smalti.bridge.job_file import read_job
from smalti.bridge.settings import listed
from smalti.engine.composition import load_composition


def test_a_fit_says_what_it_made_and_nothing_else(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK) == 0
    told = capfd.readouterr()
    assert re.fullmatch(r"out: 12 sprites, 3 steps, \d+\.\d\d dB, legibility -?\d\.\d\d, \d+\.\d s\n", told.out)
    assert told.err == ""
    assert load_composition(here / "out").header.sprites == 12


def test_a_fit_of_tiny_sprites_says_nothing_of_their_legibility(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("fit", "target.png", "--primitives", "marks", "--max-size", 8, "--out", "out", *QUICK) == 0
    assert re.fullmatch(r"out: 12 sprites, 3 steps, \d+\.\d\d dB, \d+\.\d s\n", capfd.readouterr().out)


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
    (folder,) = listed(asked.primitives)
    assert Path(folder).samefile(here / "marks")


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


def test_the_target_may_be_a_frame_of_an_animation_or_have_the_wrong_ending(here: Path) -> None:
    first, second = Image.fromarray(ramp(48, 32)), Image.fromarray(255 - ramp(48, 32))
    first.save(here / "moves.gif", save_all=True, append_images=[second])
    (here / "moves.gif").rename(here / "moves.jpg")
    usual = ("--primitives", "marks", "--out", "out", "--count", 60, "--steps", 40)
    assert smalti("fit", "moves.jpg", *usual, "--frame", 1) == 0
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


def test_a_job_can_be_of_a_transparent_picture(here: Path) -> None:
    save(here / "badge.png", badge())
    assert smalti("fit", "badge.png", "--primitives", "marks", "--out", "out", *QUICK) == 0
    assert np.asarray(Image.open(here / "out" / "render.png"))[..., 3].min() == 0
