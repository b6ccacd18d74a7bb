# SPDX-License-Identifier: GPL-3.0-or-later
"""Overdraw: how many layers there are over a point, and how evenly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import quick
from jobs import slow, small_job

from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.job.run import run_job
from smalti.engine.templates import Template


def layers(composition: Composition) -> tuple[float, float]:
    """Mean number of layers over a pixel, and their relative deviation, by drawing every sprite alone."""
    height, width, beyond = composition.header.height, composition.header.width, 1000
    counted = np.zeros((height + 2 * beyond, width + 2 * beyond))
    for sprite in sprite_bitmaps(composition):
        top, left = sprite.top + beyond, sprite.left + beyond
        rows, columns = sprite.rgba.shape[:2]
        counted[top : top + rows, left : left + columns] += sprite.opacity * sprite.rgba[..., 3]
    on_canvas = counted[beyond:-beyond, beyond:-beyond]
    return float(on_canvas.mean()), float(on_canvas.std() / on_canvas.mean())


DENSE: Mapping[str, Any] = {"count": 150, "steps": 120}


@pytest.fixture(scope="module")
def free(ramp_file: Path, templates: list[Template]) -> tuple[float, float]:
    """The layers of a fit without the constraint."""
    return layers(quick(ramp_file, templates, **DENSE))


@pytest.mark.parametrize("most", [0.8, slow(1.2)])
def test_layers_are_no_more_than_allowed(
    ramp_file: Path, templates: list[Template], free: tuple[float, float], most: float
) -> None:
    assert free[0] > 1.3 * most
    assert layers(quick(ramp_file, templates, max_overlap=most, **DENSE))[0] < 1.1 * most


@pytest.mark.slow
def test_layers_are_as_even_as_required(ramp_file: Path, templates: list[Template], free: tuple[float, float]) -> None:
    spreads = [layers(quick(ramp_file, templates, even_coverage=even, **DENSE))[1] for even in (0.3, 1.0)]
    assert free[1] > 1.3 * spreads[0] > 1.3 * spreads[1]


@pytest.mark.parametrize("settings", [{"max_overlap": 1.5}, {"even_coverage": 0.5}], ids=str)
def test_the_report_says_how_many_layers_there_are(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = run_job(small_job(tmp_path, **settings), tmp_path / "job")
    mean, spread = layers(load_composition(tmp_path / "job"))
    assert outcome.report["layers"] == pytest.approx(mean, rel=0.01)
    assert outcome.report["layers_spread"] == pytest.approx(spread, rel=0.01)
