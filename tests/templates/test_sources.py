# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders, files and patterns of bitmaps: which files they stand for, and how they share the sprites."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from jobs import badge, bitmaps, ramp, save
from runs import refused

from smalti.engine.fitting.groups import Group
from smalti.engine.job.bitmaps import weighted
from smalti.engine.job.regions import _weights_of
from smalti.engine.templates import Template, load_sources, load_templates


def names(folder: Path, *paths: str) -> list[list[str]]:
    return [[template.name for template in own] for own in load_sources([folder / path for path in paths])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("leaves/leaf10.png", "leaves/leaf2.png", "leaves/thorn.png", "more/old/moss.png", "more/star [1].png"):
        save(tmp_path / name, badge(16))
    bitmaps(tmp_path / "flowers=2,3*")
    return tmp_path


def test_files_folders_and_patterns_are_read_in_natural_order(folder: Path) -> None:
    assert names(folder, "leaves", "leaves/leaf*.png", "more/star [1].png") == [
        ["leaf2", "leaf10", "thorn"],
        ["leaf2", "leaf10"],
        ["star [1]"],
    ]


def test_a_pattern_stands_for_folders_and_for_any_number_of_them(folder: Path) -> None:
    assert names(folder, "l*", "more/**/*.png") == [["leaf2", "leaf10", "thorn"], ["moss", "star [1]"]]


def test_a_folder_with_odd_characters_is_no_pattern(folder: Path) -> None:
    assert names(folder, "flowers=2,3*") == [["bar", "disc"]]


def test_a_pattern_that_nothing_fits_is_named(folder: Path) -> None:
    fault = refused(lambda: load_templates(folder / "leaves" / "*.gif"))
    assert fault.code == "no_pictures"
    assert fault.message == f"{folder / 'leaves' / '*.gif'}: no picture fits this pattern."


def test_what_is_broken_among_the_files_of_a_pattern_is_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "leaves" / "note.txt").write_text("no picture")
    with caplog.at_level(logging.WARNING):
        assert names(folder, "leaves/*") == [["leaf2", "leaf10", "thorn"]]
    assert len(caplog.records) == 1
    assert "note.txt: is not a picture" in caplog.text


def test_a_broken_file_that_is_named_among_folders_is_refused(folder: Path) -> None:
    (folder / "cut.png").write_bytes(b"no picture")
    fault = refused(lambda: load_sources([folder / "leaves", folder / "cut.png"]))
    assert fault.code == "not_a_picture"


def test_a_pattern_of_broken_files_alone_is_refused(folder: Path) -> None:
    (folder / "a.txt").write_text("no picture")
    fault = refused(lambda: load_sources([folder / "leaves", folder / "*.txt"]))
    assert fault.code == "no_usable_bitmap"
    assert fault.message.startswith(f"{folder / '*.txt'}: holds no usable bitmap. First reason: {folder / 'a.txt'}")


def test_sprites_are_shared_out_among_the_sources_and_evenly_within_each() -> None:
    leaf, petal, star = (Template(name, ramp(4, 4)) for name in ("leaf", "petal", "star"))
    templates = weighted([[leaf, petal], [star]], (1.0, 3.0))
    assert [t.weight for t in templates] == [0.5, 0.5, 3.0]
    group = Group(80, range(5, 8), (1, 2), weights=_weights_of(templates))
    rng = np.random.default_rng(0)
    assert np.bincount(group.dealt(80, rng)).tolist() == [0] * 5 + [10, 10, 60]
    assert np.bincount(group.drawn(80_000, rng))[5:] / 1000 == pytest.approx([10, 10, 60], rel=0.05)
    assert weighted([[leaf, petal], [star]], None) == [leaf, petal, star]


def test_equal_weights_are_none() -> None:
    assert _weights_of([Template("a", ramp(4, 4)), Template("b", ramp(4, 4))]) is None
