# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser: one call for a whole step says what the operations one after another say, and the canvas may grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from optimisers import SIZE, optimiser, settings

from smalti.engine.fitting import optimiser as module
from smalti.engine.fitting.objective.canvas import reduced_canvas
from smalti.engine.fitting.objective.noise import key_of, noise_picture
from smalti.engine.fitting.pyramid import PyramidSettings
from smalti.engine.raster import draw


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour_mix": 0.4},
        {"colour_mix": 1.0},
        {"blend_space": "linear"},
        {"blend_space": "linear", "colour_mix": 0.5, "alpha_max": 1.0},
        {"lock_rotation": True, "lock_scale": True},
        {"size_range": (12.0, 13.0)},
        {"pyramid": ((0.02, 4), (0.05, 3))},
    ],
    ids=str,
)
def test_a_step_in_one_call_equals_its_operations_one_after_another(
    background: bool, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = optimiser(background, settings(**changes))
    monkeypatch.setattr(module, "fused_step", lambda back_end, atlas: None)
    apart = optimiser(background, settings(**changes))
    for step in range(7):
        apart.restore(at_once.state())
        before = apart.state()
        assert at_once.step() == pytest.approx(apart.step(), rel=1e-5)
        found, true = at_once.state(), apart.state()
        assert sorted(found) == sorted(true)
        for name in true:
            # Rounding decides on the sign of a slope that is nearly 0, which is as long a step as any other.
            close = 2e-2 if name.startswith("parameter.") else 1e-3
            moved, off = (np.linalg.norm(true[name] - other[name]) for other in (before, found))
            assert off <= close * moved, (step, name)
            if name.startswith("parameter.") and name[10:] in apart.settings.locked:
                assert moved == 0


def test_the_noise_under_a_transparent_target_is_even_and_new_in_each_step() -> None:
    one, other = (noise_picture(key_of(3, step), (64, 80)) for step in (0, 1))
    assert (one[..., 3] == 1).all()
    values = one[..., :3].numpy()
    assert 0 <= values.min() < 0.001
    assert 0.999 < values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 8, (0, 1))[0] / values.size, 1 / 8, atol=0.01)
    assert abs(np.corrcoef(values.reshape(-1), other[..., :3].numpy().reshape(-1))[0, 1]) < 0.03
    assert abs(np.corrcoef(values[:-1].reshape(-1), values[1:].reshape(-1))[0, 1]) < 0.03
    assert torch.equal(one, noise_picture(key_of(3, 0), (64, 80)))


@pytest.mark.parametrize("reduction", [1, 2, 3, 8])
def test_a_smaller_canvas_holds_the_same_picture(reduction: int) -> None:
    """A ramp from edge to edge keeps its values where they are, but for the steps of its pixels."""
    ramp = np.ones((*SIZE, 4), np.float32)
    ramp[..., 0] = (np.arange(SIZE[1]) + 0.5) / SIZE[1]
    ramp[..., 1] = ((np.arange(SIZE[0]) + 0.5) / SIZE[0])[:, None]
    canvas = reduced_canvas(ramp, None, "srgb", reduction)
    height, width = canvas.size
    assert (height, width) == (-(-SIZE[0] // reduction), -(-SIZE[1] // reduction))
    assert canvas.pixel == pytest.approx((SIZE[1] / width, SIZE[0] / height))
    small = canvas.target.numpy()
    np.testing.assert_allclose(small[0, :, 0], (np.arange(width) + 0.5) / width, atol=0.25 / SIZE[1])
    np.testing.assert_allclose(small[:, 0, 1], (np.arange(height) + 0.5) / height, atol=0.25 / SIZE[0])


def test_a_growing_canvas_leaves_the_sprites_where_they_are() -> None:
    """What is drawn on the small canvas is the picture of the large one, averaged over each pixel."""
    large = optimiser(True, settings())
    small = optimiser(True, settings(pyramid=((1.0, 4),)))
    small.objective.use_level(4)
    pictures = []
    for fitting in (large, small):
        background, _ = fitting.objective.background_and_goal(0)
        with torch.no_grad():
            pictures.append(draw(replace(fitting.scene(), background=background), "cpu").numpy())
    rows, columns = pictures[1].shape[:2]
    expected = reduced_canvas(pictures[0], None, "srgb", 4).target.numpy()
    assert expected.shape == (rows, columns, 4)
    assert abs(pictures[1] - expected).mean() < 0.02
    blank = np.full_like(expected, expected.mean())
    assert abs(pictures[1] - expected).mean() < 0.2 * abs(blank - expected).mean()


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
