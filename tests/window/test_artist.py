# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md's section for artists, followed letter by letter in a window, from the zip to its removal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import walk as steps
from display import screen
from readme import Guide
from walk import Walk
from window import ROOT, VIEWPORT, Window, blender

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]  # a minute for each step where much else runs

LONG = 200  # characters of the user folder's path, which has a space and an umlaut besides


@pytest.fixture
def home(tmp_path: Path, archive: Path) -> Path:
    """A new artist's folder: the zip, a picture and a folder of bitmaps, and nothing of Blender's."""
    folder = tmp_path / "Jörg Müller"
    folder /= "x" * max(1, LONG - len(str(folder / "." / ".config" / "blender" / "4.3")))
    folder.mkdir(parents=True)
    shutil.copy(archive, folder)
    shutil.copy(ROOT / "examples" / "target" / steps.TARGET, folder)
    shutil.copytree(ROOT / "examples" / "primitives", folder / steps.BITMAPS)
    return folder


@pytest.fixture
def window(run: Path, font: Path, home: Path, shots: Path) -> Iterator[Window]:
    """A Blender that has never run here."""
    with screen([run], 1600, 1000) as display, blender(display, run, font, home) as found:
        try:
            yield found
        finally:
            found.save(shots / "last.png")


def test_the_page_for_artists_is_what_the_window_shows(
    window: Window, home: Path, shots: Path, archive: Path, figures: dict[str, str]
) -> None:
    guide = Guide.to(ROOT / "README.md", window, steps.INSTALLING, steps.USING)
    walk = Walk(guide, home, archive, shots, figures)
    began = time.monotonic()
    window.press("Continue")
    walk.took("start of Blender", began)
    window.display.click(*VIEWPORT)
    window.gone("Getting Started")
    steps.install(walk)
    steps.check_engine(walk)
    steps.fit(walk)
    steps.import_layers(walk)
    walk.took("from the zip to the imported picture", began)
    window.save(shots / "blender.png")
    for step in (
        steps.look_closer,
        steps.take_back,
        steps.import_again,
        steps.export,
        steps.cancel_and_resume,
        steps.ways_in,
        steps.remove,
    ):
        began = time.monotonic()
        step(walk)
        walk.took(f"step {step.__name__}", began)
    assert not steps.left_behind(walk)
    assert not guide.undone, "steps of README.md that this test does not follow"
    assert not guide.left, "names in README.md that the window does not have"
    assert "Traceback" not in window.printed()
