# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG files that are written strip by strip hold the picture, whatever the strips."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from image_files import noise
from numpy.typing import NDArray
from PIL import Image

from smalti.engine.files import png
from smalti.engine.files.png import PngWriter

EXAMPLES = Path(__file__).parents[2] / "examples"


def written(rgba: NDArray[np.uint8], *strips: int) -> bytes:
    """The file of a picture that is given in strips of so many rows."""
    file = io.BytesIO()
    writer = PngWriter(file, rgba.shape[1], rgba.shape[0])
    for first, last in zip((0, *np.cumsum(strips)), np.cumsum(strips)):
        writer.write(rgba[first:last])
    return file.getvalue()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (9, 1), (40, 33)])
def test_another_reader_finds_the_picture(height: int, width: int) -> None:
    rgba = noise(height, width, 4)
    with Image.open(io.BytesIO(written(rgba, height))) as image:
        assert image.mode == "RGBA"
        assert image.info == {}
        np.testing.assert_array_equal(np.asarray(image), rgba)


def test_the_picture_is_the_same_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = noise(40, 33, 4)
    rgba[5:30, 3:20] = (200, 30, 30, 255)
    monkeypatch.setattr(png, "_STRIP", 100)
    with Image.open(io.BytesIO(written(rgba, 1, 16, 20, 3))) as image:
        np.testing.assert_array_equal(np.asarray(image), rgba)


@pytest.mark.parametrize("shape", [(3, 8, 4), (3, 7, 3), (5, 7, 4)])
def test_rows_that_are_not_of_the_picture_are_refused(shape: tuple[int, int, int]) -> None:
    writer = PngWriter(io.BytesIO(), 7, 4)
    with pytest.raises(ValueError, match="no rows of this picture"):
        writer.write(np.zeros(shape, np.uint8))


def test_files_are_hardly_larger_than_those_of_pillow() -> None:
    for path in sorted((EXAMPLES / "primitives").glob("*.png")):
        rgba = np.asarray(Image.open(path).convert("RGBA"))
        other = io.BytesIO()
        Image.fromarray(rgba).save(other, "PNG")
        assert len(written(rgba, len(rgba))) < 1.25 * other.tell()
