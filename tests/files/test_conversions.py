# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of canvases, premultiplied alpha, resampling."""

from __future__ import annotations

import numpy as np
import pytest
from image_files import noise, smooth

from smalti.engine.files.images import (
    canvas_size,
    premultiply,
    straight_from_premultiplied,
)
from smalti.engine.files.resampling import resize


@pytest.mark.parametrize(
    ("own", "longer", "expected"),
    [
        ((640, 480), None, (640, 480)),
        ((4000, 2000), None, (1024, 512)),
        ((1364, 1080), 512, (512, 405)),
        ((10, 20), 100, (50, 100)),
        ((10_000, 1), 100, (100, 1)),
        ((1, 1), None, (1, 1)),
        ((2, 1000), 100, (1, 100)),
    ],
)
def test_canvas_keeps_proportions(own: tuple[int, int], longer: int | None, expected: tuple[int, int]) -> None:
    assert canvas_size(*own, longer) == expected


def test_premultiplied_and_back_keeps_what_is_visible() -> None:
    rgba = noise(50, 50, 4)
    back = straight_from_premultiplied(premultiply(rgba))
    visible = rgba[..., 3] > 0
    np.testing.assert_array_equal(back[visible], rgba[visible])
    assert (back[~visible] == 0).all()


def test_levels_are_rounded_not_truncated() -> None:
    rgba = np.array([[0.5 * 99.6 / 255, 0, 0, 0.5], [1, 1, 1, 254.6 / 255], [0, 0, 0, 0.4 / 255]])
    assert straight_from_premultiplied(rgba).tolist() == [[100, 0, 0, 128], [255, 255, 255, 255], [0, 0, 0, 0]]


def test_resize_returns_premultiplied_floats_within_bounds() -> None:
    small = resize(noise(40, 60, 4), 25, 17)
    assert small.shape == (17, 25, 4)
    assert small.dtype == np.float32
    assert small.min() >= 0
    assert small.max() <= 1
    assert (small[..., :3] <= small[..., 3:]).all()


def test_resize_takes_bytes_and_floats_alike() -> None:
    rgba = noise(40, 60, 4)
    np.testing.assert_allclose(resize(rgba, 31, 20), resize(rgba / np.float32(255), 31, 20), atol=1e-6)


def test_resize_to_the_same_size_only_premultiplies() -> None:
    rgba = noise(6, 5, 4)
    np.testing.assert_array_equal(resize(rgba, 5, 6), premultiply(rgba))


def test_resize_keeps_an_opaque_picture_opaque_and_its_mean() -> None:
    rgba = np.dstack([smooth(60, 60), np.full((60, 60), 255, np.uint8)])
    small = resize(rgba, 20, 20)
    assert (small[..., 3] == 1).all()
    np.testing.assert_allclose(small.mean(axis=(0, 1)), rgba.mean(axis=(0, 1)) / 255, atol=2e-3)


def test_resize_does_not_mix_in_the_colour_of_transparent_pixels() -> None:
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[...] = (0, 255, 0, 0)
    rgba[8:24, 8:24] = (200, 0, 0, 255)
    assert resize(rgba, 13, 13)[..., 1].max() == 0
