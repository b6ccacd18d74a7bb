# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of mip levels: each template from a level of its own on, and atlases of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.testing import assert_array_equal

from smalti.engine.arrays import AnyArray, UInt16Array
from smalti.engine.raster import Atlas, build_atlas
from smalti.engine.raster.atlas import area_resample, pyramid, stored_texels
from smalti.engine.raster.level_store import (
    ABSENT,
    LevelStore,
    base_halvings,
    halved,
    halvings_for,
    halvings_within,
)

SHAPES = np.array([[40, 24], [9, 33], [64, 64], [1, 5]])
RNG = np.random.default_rng(0)
BITMAPS = [RNG.uniform(0, 1, (height, width, 4)) for width, height in SHAPES]


def levels_of(template: int, halvings: int) -> Iterator[UInt16Array]:
    """As exactly as an atlas has them."""
    width, height = halved(SHAPES[[template]], np.array([halvings]))[0]
    return pyramid(area_resample(area_resample(BITMAPS[template], int(height), 0), int(width), 1))


def a_store(one_user: bool = False) -> LevelStore:
    return LevelStore(levels_of, SHAPES, np.array([1, 1, 2, 0]), one_user)


def texels(atlas: Atlas, template: int) -> list[AnyArray]:
    """The texels and alpha quads of each level of a template."""
    found: list[AnyArray] = []
    for level in range(atlas.first_level[template], atlas.first_level[template + 1]):
        base, width, height = atlas.levels[level].tolist()
        here = slice(base, base + (width + 4) * (height + 4))
        found += [atlas.texels[here].copy(), atlas.alpha_quads[here].copy()]
    return found


def test_a_store_of_whole_templates_is_the_atlas_of_them() -> None:
    stored, built = a_store().atlas(np.zeros(4, int)), build_atlas(BITMAPS)
    assert_array_equal(stored.levels[:, 1:], built.levels[:, 1:])
    assert_array_equal(stored.first_level, built.first_level)
    for template in range(4):
        for ours, theirs in zip(texels(stored, template), texels(built, template), strict=True):
            assert_array_equal(ours, theirs)
    np.testing.assert_allclose(stored.luma[3], built.luma[3], atol=1e-4)  # measured on the whole bitmap
    np.testing.assert_allclose(stored.luma, built.luma, atol=0.02)


def test_a_template_is_the_same_whatever_else_is_held_and_whatever_was_before() -> None:
    for one_user in (False, True):
        direct = [texels(a_store().atlas(np.array(k)), 2) for k in ([0, 0, 1, 0], [2, 1, 3, 1])]
        store, rng = a_store(one_user), np.random.default_rng(1)
        for _ in range(30):
            store.atlas(rng.integers(-1, 4, 4))
        for halvings, expected in (([3, ABSENT, 1, 0], direct[0]), ([0, 0, 3, 0], direct[1])):
            found = texels(store.atlas(np.array(halvings)), 2)
            for ours, theirs in zip(found, expected, strict=True):
                assert_array_equal(ours, theirs)


def test_earlier_atlases_stay_valid_unless_there_is_one_user() -> None:
    store = a_store()
    first = store.atlas(np.array([2, 2, 2, 0]))
    before = [texels(first, template) for template in range(4)]
    for halvings in ([0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]):
        store.atlas(np.array(halvings))
    for template, expected in enumerate(before):
        for now, then in zip(texels(first, template), expected, strict=True):
            assert_array_equal(now, then)


def test_a_template_that_is_absent_is_one_transparent_texel() -> None:
    atlas = a_store().atlas(np.array([ABSENT, 0, ABSENT, 0]))
    assert atlas.levels[atlas.first_level[0]].tolist() == [0, 1, 1]
    assert not any(values.any() for values in texels(atlas, 2))


def test_stored_texels_are_those_of_an_atlas() -> None:
    for largest in (None, 32, 7):
        built = build_atlas(BITMAPS, largest)
        assert stored_texels(SHAPES, largest).sum() == len(built.texels)


def test_sprites_get_all_the_texels_that_they_can_show() -> None:
    shapes = np.array([[1024, 512], [100, 400], [64, 64]])
    template, lengths = np.array([0, 0, 1]), np.array([300.0, 20.0, 33.0])
    halvings = halvings_for(template, lengths, shapes, np.array([5, 5, 5]))
    assert halvings.tolist() == [1, 2, 5]  # 512 and 100 texels; the last has no sprite
    assert halvings_for(template, 10 * lengths, shapes, np.array([5, 5, 5])).tolist() == [0, 0, 5]


def test_the_base_of_all_templates_fits_into_its_room() -> None:
    shapes = RNG.integers(50, 2000, (300, 2))
    halvings = base_halvings(shapes, 2_000_000, 512)
    taken = stored_texels(halved(shapes, halvings)).sum()
    assert 400_000 < taken <= 2_000_000
    assert halved(shapes, halvings_within(shapes, 100)).max() <= 101
    assert (halved(shapes, base_halvings(shapes, 10, 512)).max(axis=1) >= 4).all()
