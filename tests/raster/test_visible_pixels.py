# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending weights of pixels add up to what the picture shows."""

from __future__ import annotations

import numpy as np
from optimisers import optimiser, settings

from smalti.engine.raster import draw, pixel_weights


def test_weights_times_tints_are_the_picture() -> None:
    scene = optimiser(True, settings()).scene()
    found = pixel_weights(scene, least=1e-7)
    height, width = scene.size
    picture = np.zeros((height * width, 4))
    for channel in range(3):
        shown = found.weight * scene.tint[found.sprite, channel]
        picture[:, channel] = np.bincount(found.pixel, shown, height * width)
    picture[:, 3] = np.bincount(found.pixel, found.weight, height * width)
    np.testing.assert_allclose(picture.reshape(height, width, 4), draw(scene, "cpu"), atol=2e-5)


def test_sums_and_means_are_each_sprites() -> None:
    scene = optimiser(True, settings()).scene()
    found = pixel_weights(scene)
    assert (np.diff(found.sprite) >= 0).all()
    plane = np.arange(scene.size[0] * scene.size[1], dtype=np.float64).reshape(scene.size)
    for k in (0, len(scene) // 2, len(scene) - 1):
        own = found.sprite == k
        assert found.visible[k] == np.float64(found.weight[own].astype(np.float64).sum())
        if own.any():
            expected = np.average(plane.reshape(-1)[found.pixel[own]], weights=found.weight[own])
            np.testing.assert_allclose(found.means(plane)[k], expected, rtol=1e-5)
    assert (found.weight >= 1 / 255).all()


def test_some_sprites_may_be_taken() -> None:
    scene = optimiser(True, settings()).scene()
    found = pixel_weights(scene)
    which = np.arange(1, len(scene), 3)
    some = found.take(which)
    np.testing.assert_array_equal(some.visible, found.visible[which])
    own = found.sprite == which[2]
    np.testing.assert_array_equal(some.pixel[some.sprite == 2], found.pixel[own])
