# SPDX-License-Identifier: GPL-3.0-or-later
"""Native loops over bitmaps do, bit for bit, what NumPy does in a few slow lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.engine.bitmaps import bled, png_rows

Texels = NDArray[np.uint8]
Cells = NDArray[np.float32]
Maker = Callable[[int, int], Texels]

SIZES = [(1, 2), (2, 1), (9, 1), (16, 16), (33, 18), (50, 71), (300, 257)]


def noise(height: int, width: int) -> Texels:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 4), dtype=np.uint8)


def with_a_hole(height: int, width: int) -> Texels:
    rgba = noise(height, width)
    rgba[height // 2 :, width // 2 :, 3] = 0
    return rgba


def with_one_visible_texel(height: int, width: int) -> Texels:
    rgba = noise(height, width)
    rgba[..., 3] = 0
    rgba[-1, 0, 3] = 7
    return rgba


def block_sums(cells: Cells) -> Cells:
    height, width, _ = cells.shape
    even = np.pad(cells, ((0, height % 2), (0, width % 2), (0, 0)))
    rows: Cells = even[0::2] + even[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2])


def surroundings(sums: Cells) -> Cells:
    height, width, _ = sums.shape
    padded = np.pad(sums, ((1, 1), (1, 1), (0, 0)))
    columns = padded[:-2] + padded[1:-1] + padded[2:]
    total = columns[:, :-2] + columns[:, 1:-1] + columns[:, 2:]
    colors: Cells = total[..., :3] / np.maximum(total[..., 3:], np.float32(1e-9))
    empty = total[..., 3] == 0
    if empty.any():
        coarse = surroundings(block_sums(sums)).repeat(2, axis=0).repeat(2, axis=1)
        colors[empty] = coarse[:height, :width][empty]
    return colors


def bled_by_numpy(rgba: Texels) -> Texels:
    height, width, _ = rgba.shape
    premultiplied = rgba.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:]
    near = np.rint(surroundings(block_sums(premultiplied))).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    return np.asarray(np.where(rgba[..., 3:] == 0, np.dstack([near[:height, :width], rgba[..., 3]]), rgba))


def png_rows_by_numpy(rgba: Texels, above: Texels) -> Texels:
    left = np.pad(rgba, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    upper = np.concatenate([above, rgba[:-1]])
    sub, up = ((rgba - other).reshape(len(rgba), -1) for other in (left, upper))
    of_sub, of_up = (np.abs(each.view(np.int8).astype(int)).sum(axis=1, keepdims=True) for each in (sub, up))
    better = of_sub < of_up
    return np.hstack([np.where(better, 1, 2), np.where(better, sub, up)]).astype(np.uint8)


@pytest.mark.parametrize("bitmap", [with_a_hole, with_one_visible_texel])
@pytest.mark.parametrize("size", SIZES)
def test_hidden_texels_take_the_colors_that_numpy_finds(size: tuple[int, int], bitmap: Maker) -> None:
    rgba = bitmap(*size)
    np.testing.assert_array_equal(bled(rgba), bled_by_numpy(rgba))


def test_bleeding_leaves_alpha_and_visible_colours_alone() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (33, 18, 4), dtype=np.uint8)
    rgba[5:30, 3:15, 3] = 0
    result = bled(rgba)
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    np.testing.assert_array_equal(result[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bitmap_that_is_hidden_or_visible_everywhere_stays_as_it_is(alpha: int) -> None:
    rgba = noise(9, 14)
    rgba[..., 3] = alpha
    np.testing.assert_array_equal(bled(rgba), rgba)


def test_the_bitmap_given_is_not_changed() -> None:
    rgba = with_a_hole(20, 31)
    before = rgba.copy()
    bled(rgba)
    bled(rgba[::2, ::3])
    np.testing.assert_array_equal(rgba, before)
    np.testing.assert_array_equal(bled(rgba[::2, ::3]), bled_by_numpy(before[::2, ::3]))


@pytest.mark.parametrize("size", SIZES)
def test_rows_for_png_are_those_that_numpy_makes(size: tuple[int, int]) -> None:
    rgba = noise(*size)
    rgba[:, : size[1] // 2] //= 16
    rgba[size[0] // 3 :: 2] = rgba[:1]
    for above in (np.zeros_like(rgba[:1]), rgba[-1:]):
        np.testing.assert_array_equal(png_rows(rgba, above), png_rows_by_numpy(rgba, above))
        np.testing.assert_array_equal(png_rows(rgba[:, ::-1], above), png_rows_by_numpy(rgba[:, ::-1], above))


def test_a_row_of_another_width_is_no_row_above() -> None:
    with pytest.raises(ValueError, match="above"):
        png_rows(noise(3, 8), noise(1, 7))
