# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about each setting that cannot be, with the option as it was typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calls import Complaint, fit_complaint
from jobs import save


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
        ("--device", "abacus", "--device: invalid choice: 'abacus'"),
        ("--device", "cuda", "--device is 'cuda'"),
        ("--mask", "chroma", "--mask: invalid choice: 'chroma'"),
        ("--palette", "#102030,red", "--palette: 'red' is no color"),
        ("--palette", "#12345", "--palette: '#12345' is no color"),
        ("--palette", "#102030,,#405060", "--palette: '' is no color"),
        ("--palette", "add", "add: does not exist"),
        ("--palette", "missing.gpl", "missing.gpl: does not exist"),
        ("--palette", "target.png", "target.png: is not a text"),
        ("--palette", "marks", "marks: cannot be read"),
        ("--rotation-steps", "0", "--rotation-steps is 0"),
        ("--min-visibility", "0.95", "--min-visibility is 0.95, but must be from 0 to 0.9"),
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


def test_a_share_to_be_seen_above_what_the_opacity_allows(here: Path, complaint: Complaint) -> None:
    assert "--min-visibility is 0.5, but must be at most 0.9 times --alpha-max (0.5)" in fit_complaint(
        complaint, "--min-visibility", "0.5", "--alpha-max", "0.5"
    )


def test_what_the_canvas_rules_out_is_told_with_the_options(here: Path, complaint: Complaint) -> None:
    save(here / "night.png", np.zeros((8, 8), np.uint8))
    told = fit_complaint(complaint, "--keep-in", "night.png")
    assert "lies where sprites may draw (--keep-in)" in told
    assert "White marks where sprites may draw in --keep-in, and where they may not in --keep-out." in told
    assert "Give a target with transparency, or a --target-mask." in fit_complaint(complaint, "--inside-outline")


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "2,many"), "--weights is '2,many', but must be a list of numbers with commas between"),
        (("--weights", "0"), "--weights is 0.0, but must be a list of numbers above 0"),
        (("--weights", "nan"), "--weights is nan, but must be a list of numbers above 0"),
        (("--weights", "2,1"), "--weights is 2.0, 1.0, but must be 1 number, one for each of --primitives"),
        (("--text", "a", "--weights", "1"), "must be 2 numbers, one for each of --primitives and one for the text"),
        (("--primitives", ""), "--primitives is marks, , but must be the path of a folder of bitmaps"),
        (("--target-mask", "target.png", "--target-mask", "none.png"), "none.png: does not exist"),
        (("--target-mask", "night.png", "--target-mask", "night.png"), "night.png: the target masks are black"),
    ],
)
def test_lists_that_cannot_be(here: Path, complaint: Complaint, options: tuple[str, ...], words: str) -> None:
    save(here / "night.png", np.zeros((8, 8), np.uint8))
    assert words in fit_complaint(complaint, *options)


@pytest.mark.parametrize("options", [("--start", "target.png"), ("--text", "a", "--text-order", "reading")])
def test_a_count_where_it_follows_from_something_else(
    here: Path, complaint: Complaint, options: tuple[str, ...]
) -> None:
    given = ("fit", "target.png", "--out", "out", "--count", "5", *options)
    more = ("--primitives", "marks") if "--start" in options else ()
    assert "--count is 5, but must be left out with --start, --grid and a text in" in complaint(*given, *more)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0dB", "--until is 0.0, but must be more than 0 and at most 100 dB"),
        ("28 percent", "--until: invalid decibels value: '28 percent'"),
        ("nan", "--until is nan"),
    ],
)
def test_a_likeness_that_cannot_be(here: Path, complaint: Complaint, value: str, words: str) -> None:
    assert words in fit_complaint(complaint, "--until", value)
