# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser: one call for a whole step says what the operations one after another say, and the canvas may grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from optimisers import optimiser, settings

from smalti.engine.fitting import optimiser as module
from smalti.engine.fitting.objective.canvas import reduced_canvas
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
