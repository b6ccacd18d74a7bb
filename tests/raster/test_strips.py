# SPDX-License-Identifier: GPL-3.0-or-later
"""A canvas that is composited strip by strip is the same, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scenes import random_scene
from smalti.engine.raster import BACK_ENDS, FINISHED_BACK_END, Scene, draw, image_loss

WIDTH, HEIGHT = 75, 101


@pytest.fixture
def whole() -> Scene[Any]:
    scene: Scene[Any] = random_scene(5, n=200, size=(HEIGHT, WIDTH), mix=0.4)
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(scene, name)) for name in ("affine", "opacity", "tint", "template", "background")
    }
    return replace(scene, **arrays)


def strips_of(whole: Scene[Any], rows: int) -> list[Scene[Any]]:
    assert whole.background is not None
    return [
        replace(
            whole,
            size=(min(rows, HEIGHT - first), WIDTH),
            first_row=first,
            background=whole.background[first : first + rows],
        )
        for first in range(0, HEIGHT, rows)
    ]


@pytest.mark.parametrize("rows", [16, 48])
def test_strips_make_the_picture(whole: Scene[Any], rows: int) -> None:
    parts = [draw(strip, FINISHED_BACK_END) for strip in strips_of(whole, rows)]
    np.testing.assert_array_equal(np.concatenate(parts), draw(whole, FINISHED_BACK_END))


def test_gradients_of_strips_add_up(whole: Scene[Any]) -> None:
    goal = np.full((HEIGHT, WIDTH, 4), 0.4, np.float32)
    _, expected = image_loss(whole, goal, FINISHED_BACK_END)
    total = np.zeros_like(expected.affine)
    for strip in strips_of(whole, 32):
        rows, above = strip.size[0], strip.first_row
        _, part = image_loss(strip, goal[above : above + rows], FINISHED_BACK_END)
        total += part.affine * rows / HEIGHT
    np.testing.assert_allclose(total, expected.affine, rtol=1e-4, atol=1e-6 * np.abs(expected.affine).max())


@pytest.mark.parametrize("first_row", [-16, 8])
def test_strips_begin_at_a_row_of_tiles(whole: Scene[Any], first_row: int) -> None:
    with pytest.raises(ValueError, match="multiple of 16 rows"):
        replace(whole, first_row=first_row)


@pytest.mark.parametrize("back_end", [name for name in BACK_ENDS if name != FINISHED_BACK_END])
def test_other_back_ends_refuse_strips(whole: Scene[Any], back_end: str) -> None:
    with pytest.raises(ValueError, match="draws no strips"):
        draw(replace(whole, first_row=16), back_end)
