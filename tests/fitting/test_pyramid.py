# SPDX-License-Identifier: GPL-3.0-or-later
"""The pyramid: on which levels of the canvas the first steps are made."""

from __future__ import annotations

import pytest

from smalti.engine.fitting.pyramid import PyramidSettings


@pytest.mark.parametrize(
    ("size", "sprites", "largest"),
    [((512, 512), 1000, 2), ((512, 512), 5000, 1), ((1024, 1024), 1000, 4), ((2048, 4096), 500, 8), ((16, 16), 0, 2)],
)
def test_the_canvas_starts_as_small_as_its_sprites_allow(size: tuple[int, int], sprites: int, largest: int) -> None:
    pyramid = PyramidSettings()
    levels = pyramid.levels(size, sprites)
    assert levels == pyramid.levels_by_downscale[largest]
    assert max([1, *(downscale for _, downscale in levels)]) == largest
    assert [until for until, _ in levels] == sorted(until for until, _ in levels)
    assert largest == 1 or (size[0] * size[1] / max(sprites, 1)) ** 0.5 / largest >= pyramid.room
