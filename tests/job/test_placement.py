# SPDX-License-Identifier: GPL-3.0-or-later
"""Text in reading order, and sprites that start where a file has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import arrays_of, film, ramp, save, small_job
from runs import refused, same_result, stopped

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job

TEXT = "Once upon a midnight dreary, while I pondered, weak and weary"


def reading_job(folder: Path, **settings: Any) -> JobSpec:
    return small_job(folder, **{"primitives": None, "text": TEXT, "text_order": "reading", "steps": 30, **settings})


def read_back(folder: Path, frame: int = -1) -> str:
    """The letters of a finished job, as a reader finds them: line by line by the lines' heights, from left to right."""
    arrays = arrays_of(folder)
    names = [t["name"].split("_")[0] for t in json.loads((folder / "composition.json").read_text())["templates"]]
    x, y, letters = arrays["x"][frame], arrays["y"][frame], [names[i] for i in arrays["template"]]
    first = np.flatnonzero(np.diff(x, prepend=np.inf) < 0)  # a line begins where the next letter lies further left
    lines = np.split(np.arange(len(x)), first[1:])
    middles = [y[line].mean() for line in lines]
    assert middles == sorted(middles)
    return "".join(letters[i] for line in lines for i in line[np.argsort(x[line], kind="stable")])


def test_every_letter_is_there_once_in_reading_order(tmp_path: Path) -> None:
    outcome = run_job(reading_job(tmp_path), tmp_path / "job")
    assert outcome.report["sprites"] == len(TEXT.replace(" ", ""))
    assert read_back(tmp_path / "job") == TEXT.replace(" ", "")
    stopped(reading_job(tmp_path), tmp_path / "half", 14)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "job")


def test_the_fit_moves_and_tints_letters_but_leaves_them_near(tmp_path: Path) -> None:
    fitting = read_inputs(reading_job(tmp_path)).fitting()
    before = fitting.result()
    while not fitting.finished:
        fitting.step()
    after = fitting.result()
    assert (before["template"] == after["template"]).all()
    assert not np.allclose(before["tint"], after["tint"], atol=0.05)
    moved = np.hypot(after["x"] - before["x"], after["y"] - before["y"])
    assert 0 < moved.max() < 0.5 * before["scale"].max()


def test_words_stay_words_in_a_film_with_a_cut(tmp_path: Path) -> None:
    folder = film(tmp_path / "film")
    save(folder / "04.png", 255 - ramp(64, 48))
    run_job(reading_job(tmp_path, target=str(folder), text="one two three", text_split="words"), tmp_path / "job")
    for frame in range(4):
        assert read_back(tmp_path / "job", frame) == "onetwothree"


def test_letters_keep_to_what_is_not_masked(tmp_path: Path) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 48:] = 255
    inputs = read_inputs(reading_job(tmp_path, target_mask=str(save(tmp_path / "mask.png", mask))))
    assert inputs.fitting().result()["x"].min() > 48


def test_lyrics_are_read_without_their_times(tmp_path: Path) -> None:
    path = tmp_path / "song.lrc"
    path.write_text("\ufeff[ar: A singer]\n[00:12.30]Row, <00:13>row\n[01:02][01:30.5]your [boat]\n", "utf-8")
    run_job(reading_job(tmp_path, text=None, text_file=str(path)), tmp_path / "job")
    assert read_back(tmp_path / "job") == "Row,rowyour[boat]"


def test_a_file_is_a_text_without_an_order_too(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("sea and sea")
    inputs = read_inputs(
        small_job(tmp_path, primitives=None, text_file=str(tmp_path / "words.txt"), text_split="words")
    )
    assert [template.name for template in inputs.templates] == ["sea", "and"]
    assert inputs.count == 24


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("none.txt", None, "text_missing"), ("a.txt", b"\xff\xfe", "bad_text"), ("b.lrc", b"[00:01] \n", "bad_text")],
)
def test_a_text_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    fault = refused(lambda: read_inputs(reading_job(tmp_path, text=None, text_file=str(tmp_path / name))))
    assert fault.code == code
    assert fault.message.startswith(f"{tmp_path / name}: ")


def test_a_folder_as_text_is_named(tmp_path: Path) -> None:
    fault = refused(lambda: read_inputs(reading_job(tmp_path, text=None, text_file=str(tmp_path))))
    assert fault.code == "text_unreadable"


def test_a_text_that_has_no_room_is_refused(tmp_path: Path) -> None:
    fault = refused(lambda: read_inputs(reading_job(tmp_path, text="word " * 2000)))
    assert fault.code == "text_too_long"
    assert "8,000 pieces on 96 x 64 pixels" in fault.message


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"text": None, "primitives": "leaves"}, "text_order is 'reading', but must be free where no text is given"),
        ({"primitives": "leaves"}, "primitives is 'leaves', but must be left out with text_order reading"),
        ({"min_size": 4.0}, "min_size is 4.0, but must be left out with text_order reading"),
        ({"start": "a.json"}, "start is 'a.json', but must be left out with text_order reading"),
        ({"regions": (RegionSpec("a.png", 3),)}, "regions is a list of 1, but must be left out with text_order"),
        ({"text_file": "a.txt"}, "text_file is 'a.txt', but must be left out where text is given"),
    ],
)
def test_what_would_break_the_order_is_refused(tmp_path: Path, settings: dict[str, Any], rule: str) -> None:
    assert rule in refused(lambda: reading_job(tmp_path, **settings).checked()).message


# A start by hand.


def start(folder: Path, content: object) -> str:
    path = folder / "start.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


BY_HAND = [{"x": 10, "y": 20, "size": 12, "angle": 90, "template": "disc"}, {"x": 90, "y": 60, "size": 200}]


def test_sprites_start_where_the_file_has_them(tmp_path: Path) -> None:
    job = small_job(tmp_path, start=start(tmp_path, BY_HAND))
    first = read_inputs(job).fitting().result()
    assert first["x"].tolist() == [[10, 90]]
    assert first["y"].tolist() == [[20, 60]]
    assert 2 * first["scale"] == pytest.approx(np.array([[12, 200]]))
    assert first["theta"][0] == pytest.approx([np.pi / 2, 0])
    assert first["template"][0] == 1  # after the bar
    assert first["tint"][0, 0] == pytest.approx([10 / 95, 20 / 63, 85 / 95], abs=0.15)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "half", 6)
    (tmp_path / "start.json").unlink()
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")


def test_a_start_may_be_for_a_canvas_of_another_width(tmp_path: Path) -> None:
    content = {"width": 48, "sprites": [{"x": 48, "y": 8, "size": 5, "template": 2}]}
    first = read_inputs(small_job(tmp_path, start=start(tmp_path, content))).fitting().result()
    assert [first[name].item() for name in ("x", "y", "scale", "template")] == [96, 16, 5, 1]


def test_bounds_on_sizes_hold_for_a_start_by_hand(tmp_path: Path) -> None:
    job = small_job(tmp_path, start=start(tmp_path, BY_HAND), min_size=16.0, max_size=64.0)
    assert 2 * read_inputs(job).fitting().result()["scale"] == pytest.approx(np.array([[16, 64]]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[{", "is not valid JSON"),
        ([], "holds 0 sprites"),
        ([{"x": 1, "y": 1}], "the key 'size' is missing"),
        ([{"x": 1, "y": 1, "size": 4, "color": "red"}], "unknown key 'color'"),
        ([{"x": "left", "y": 1, "size": 4}], "'x' must be a finite number"),
        ([{"x": 1, "y": 65, "size": 4}], "sprite 1: 'y' must be on the canvas, from 0 to 64, not 65"),
        ([{"x": 1, "y": 1, "size": 0}], "sprite 1: 'size' must be above 0, not 0"),
        ([*BY_HAND, {"x": 1, "y": 1, "size": 4, "template": "leaf"}], "sprite 3: there is no bitmap 'leaf', but 'bar'"),
        ([{"x": 1, "y": 1, "size": 4, "template": 3}], "sprite 1: there is no bitmap 3, but 1 to 2"),
        ({"width": 0, "sprites": BY_HAND}, "'width' must be above 0, not 0"),
        ({"height": 4, "sprites": BY_HAND}, "unknown key 'height'"),
        (3, "expected an object"),
    ],
)
def test_a_start_file_that_cannot_be_used_is_named(tmp_path: Path, content: object, words: str) -> None:
    path = start(tmp_path, content)
    fault = refused(lambda: read_inputs(small_job(tmp_path, start=path)))
    assert words in fault.message
    assert fault.message.startswith(path)


def test_a_missing_start_file_is_named(tmp_path: Path) -> None:
    fault = refused(lambda: read_inputs(small_job(tmp_path, start="none.json")))
    assert fault.message == "none.json: does not exist."
