# SPDX-License-Identifier: GPL-3.0-or-later
"""How pictures come into the panel, and what it shows of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from blenders import Blender
from PIL import Image

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def _picture(path: Path, color: str = "red", size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def test_panel_names_what_was_chosen_and_reads_no_file_for_it(blender: Blender, tmp_path: Path) -> None:
    _picture(tmp_path / "a picture with quite a long name.png")
    for number in range(6):
        _picture(tmp_path / "leaves" / f"{number}.png")
    for number in range(2):
        _picture(tmp_path / "of 2" / f"{number}.png")
    result = blender.run("thumbnails", folder=tmp_path)
    picture = "a picture with quite a long name.png"
    assert result["before"] == [picture, "leaves"]
    assert result["found"] == [picture, "leaves", "6 bitmaps"]
    assert result["one less"] == [picture, "leaves", "5 bitmaps"]
    assert result["gone"] == [f"{picture} is not there", "leaves is not there"]
    assert result["empty"] == [f"{picture} is not there", "leaves: no bitmaps"]
    assert result["pattern"] == [f"{picture} is not there", "*.png", "2 bitmaps"]
    assert result["seconds"] < 0.005
    assert result["stops"]
