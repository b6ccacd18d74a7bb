# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about each picture, drawing, text or folder that cannot be rebuilt, or be built with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, Complaint, fit_complaint, smalti
from jobs import film, png_that_declares, ramp, save


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


@pytest.mark.parametrize(("kind", "role"), list(zip(BROKEN, ("target", "primitives", "background", "target-mask"))))
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


def test_a_target_too_small_or_too_narrow(here: Path, complaint: Complaint) -> None:
    save(here / "tiny.png", ramp(1, 500))
    line = fit_complaint(complaint, target="tiny.png")
    assert "tiny.png: is too small or too narrow to be rebuilt (1 x 500" in line


def test_a_black_mask(here: Path, complaint: Complaint) -> None:
    save(here / "night.png", np.zeros((8, 8), np.uint8))
    assert "night.png: the target mask is black" in fit_complaint(complaint, "--target-mask", "night.png")


def test_a_file_that_holds_no_weights(here: Path, complaint: Complaint) -> None:
    assert "target.png: holds no weights" in fit_complaint(complaint, "--loss", "vgg", "--vgg-weights", "target.png")


def test_frames_of_different_sizes(here: Path, complaint: Complaint) -> None:
    save(film(here / "film") / "02.png", ramp(64, 64))
    line = complaint("fit", "film", "--primitives", "marks", "--out", "out", *QUICK)
    assert "02.png: is 64 x 64 pixels, which does not fit the first frame" in line


def test_frames_of_one_shape_in_two_sizes_are_brought_to_one(here: Path) -> None:
    save(film(here / "film") / "02.png", ramp(128, 96))
    assert smalti("fit", "film", "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 2) == 0


def test_a_broken_frame_is_named_when_its_turn_comes_and_the_job_goes_on_once_it_is_repaired(
    here: Path, complaint: Complaint
) -> None:
    path = film(here / "film") / "03.png"
    good = path.read_bytes()
    path.write_bytes(b"no picture at all")
    line = complaint("fit", "film", "--primitives", "marks", "--out", "out", *QUICK, "--frame-steps", 2)
    assert "03.png: is not a picture" in line
    path.write_bytes(good)
    assert smalti("resume", "out") == 0
    assert (here / "out" / "render" / "0003.png").is_file()
