# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a resized picture are those of the whole one, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from image_files import noise

from smalti.engine.files import strips
from smalti.engine.files.resampling import resize, resized_rows
from smalti.engine.files.strips import Strips, strips_of

SIZES = [(40, 30, 40, 30), (40, 30, 83, 64), (40, 30, 17, 200), (100, 301, 33, 40), (7, 5, 701, 33), (1, 1, 64, 9)]


@pytest.mark.parametrize(("old_height", "old_width", "height", "width"), SIZES)
@pytest.mark.parametrize("opaque", [False, True])
def test_rows_are_those_of_the_whole(old_height: int, old_width: int, height: int, width: int, opaque: bool) -> None:
    rgba = noise(old_height, old_width, 4)
    if opaque:
        rgba[..., 3] = 255
    parts = [resized_rows(rgba, width, height, range(n, min(n + 16, height))) for n in range(0, height, 16)]
    np.testing.assert_array_equal(np.concatenate(parts), resize(rgba, width, height))


def test_strips_cover_the_picture_once_and_begin_where_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIP_PIXELS", 40 * 7)
    seen: list[range] = []

    def make(rows: range) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        seen.append(rows)
        return np.full((len(rows), 7, 4), rows.start)

    picture = Strips(100, 7, make, multiple=16)
    assert picture.shape == (100, 7, 4)
    assert (
        picture.map(lambda strip: -strip).whole()[:, 0, 0].tolist() == [-0] * 32 + [-32] * 32 + [-64] * 32 + [-96] * 4
    )
    assert seen == [range(0, 32), range(32, 64), range(64, 96), range(96, 100)]


def test_an_array_is_its_only_strip() -> None:
    array = noise(3, 5, 4)
    (strip,) = strips_of(array)
    assert strip is array
