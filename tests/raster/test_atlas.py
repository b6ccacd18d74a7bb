# SPDX-License-Identifier: GPL-3.0-or-later
"""Mip levels cover the same square, and a template looks the same from whichever level it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import one_affine
from smalti.engine.raster import Scene, build_atlas, draw
from smalti.engine.raster.atlas import area_resample


def test_every_mip_level_covers_the_same_square() -> None:
    rng = np.random.default_rng(5)
    bitmap = rng.uniform(0, 1, (45, 70, 4))
    atlas = build_atlas([bitmap])
    ramp_x, ramp_y = [], []
    for base, width, height in atlas.levels:
        stored = atlas.texels[base : base + (width + 4) * (height + 4)].reshape(height + 4, width + 4, 4) / 65535
        level = stored[2:-2, 2:-2]
        assert level.mean() == pytest.approx(bitmap.mean(), abs=1e-4), "a mean is lost from one level to the next"
        assert (stored > 0).sum() == (level > 0).sum(), "the margin is not transparent"
        mass = level[..., 3]
        ramp_x.append((mass * (np.arange(width) + 0.5) / width).sum() / mass.sum())
        ramp_y.append(((np.arange(height) + 0.5) / height * mass.T).sum() / mass.sum())
    assert (width, height) == (1, 1)
    # The center of gravity may only move by what blurring to coarse texels does to it.
    assert np.abs(np.diff(ramp_x[:4])).max() < 2e-3
    assert np.abs(np.diff(ramp_y[:4])).max() < 2e-3


def test_area_resampling_is_exact_for_odd_ratios() -> None:
    line = np.arange(5.0)
    assert area_resample(line, 2, 0) == pytest.approx([(0 + 1 + 0.5 * 2) / 2.5, (0.5 * 2 + 3 + 4) / 2.5])
    assert area_resample(line, 3, 0) == pytest.approx([(0 + 2 / 3) / (5 / 3), 2, (4 + 2) / (5 / 3)])


def test_bitmap_larger_than_needed_draws_the_same_small_sprite() -> None:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[0:256, 0:256] / 256
    alpha = np.clip(2 - 4 * np.hypot(x - 0.5, y - 0.5), 0, 1)[..., None]
    bitmap = np.concatenate([alpha * rng.uniform(0, 1, 3), alpha], axis=2)
    affine = one_affine(10.3, 9.6, 7.0, 7.0, 0.4)
    images = [
        draw(Scene(affine, np.ones(1), np.ones((1, 3)), np.zeros(1, int), atlas, (20, 20), mix=1.0), "cpu")
        for atlas in (build_atlas([bitmap]), build_atlas([bitmap], largest=32))
    ]
    assert abs(images[0] - images[1]).max() < 1e-4


def test_opaque_template_has_soft_edges_at_the_right_place() -> None:
    """A white rectangle from 2.5 to 13.5: pixels 3 to 12 are full, 2 and 13 half, and nothing lies beyond."""
    affine = one_affine(8.0, 8.0, 5.5, 5.5, 0.0)
    for texels in (11, 22, 44, 7):
        atlas = build_atlas([np.ones((texels, texels, 4))])
        image = draw(Scene(affine, np.ones(1), np.ones((1, 3)), np.zeros(1, int), atlas, (16, 16)), "cpu")
        profile = image[8, :, 3]
        assert profile.sum() == pytest.approx(11, abs=0.15)
        assert (profile[4:12] > 0.999).all()
        assert profile[2] == pytest.approx(0.5, abs=0.1)
        assert (profile[:1] == 0).all()
        assert (profile[15:] == 0).all()
