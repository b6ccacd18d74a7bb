# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes as the command line takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.bridge.errors import SmaltiError
from smalti.engine.cli.palette_argument import read_palette

GIMP = """GIMP Palette
Name: Evening
Columns: 3
# a comment
  0   0   0\tNight
255 128   7 Lamp
 12  34  56

  0   0   0 Night again
"""


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_list_of_colours() -> None:
    assert read_palette("#112233, AABBCC,#000000") == ("#112233", "#aabbcc", "#000000")
    assert read_palette("102030") == ("#102030",)
    assert read_palette("#f00, #0Bc,#112233,") == ("#ff0000", "#00bbcc", "#112233")


def test_a_palette_of_gimps(tmp_path: Path) -> None:
    assert read_palette(str(written(tmp_path / "evening.gpl", GIMP))) == ("#000000", "#ff8007", "#0c2238")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_one_colour_a_line(tmp_path: Path, ends: str, mark: str) -> None:
    text = mark + ends.join(["; a comment", "#112233", "", "aabbcc // sea", "#123 ; again"])
    assert read_palette(str(written(tmp_path / "sea.hex", text))) == ("#112233", "#aabbcc")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no color"),
        ("; nothing", "holds no color"),
        ("GIMP Palette\nName: Empty\n", "holds no color"),
        ("#112233\nblue\n", "line 2 is no color ('blue')"),
        ("GIMP Palette\n0 0 256\n", "line 2 is no color ('0 0 256')"),
        ("GIMP Palette\n#c\n0 0\n", "line 3 is no color ('0 0')"),
        (b"\x89PNG\r\n\xff", "is not a text"),
    ],
)
def test_a_file_that_is_no_palette_is_named(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path / "palette.txt", text)
    with pytest.raises(SmaltiError) as caught:
        read_palette(str(path))
    assert caught.value.code == "bad_palette"
    assert caught.value.message.startswith(f"{path}: ")
    assert words in caught.value.message


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"no\.gpl: does not exist") as caught:
        read_palette(str(tmp_path / "no.gpl"))
    assert caught.value.code == "palette_missing"
