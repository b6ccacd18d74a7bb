# SPDX-License-Identifier: GPL-3.0-or-later
"""Large bitmaps that are drawn small: a render equals the engine's picture, in every frame, at any size of a sprite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from exact_jobs import FRAMES, write_job
from pictures import premultiplied

from smalti.bridge.job import BlendSpace

pytestmark = [pytest.mark.blender, pytest.mark.slow]

CASES: tuple[tuple[BlendSpace, float, float, str], ...] = (
    ("srgb", 0.0, 0.0, "#d0c0a0"),
    ("srgb", 0.5, 0.0, "transparent"),
    ("srgb", 0.2, 0.8, "#203040"),
    ("linear", 0.5, 0.0, "transparent"),
    ("linear", 1.0, 0.0, "#d0c0a0"),
)
"""Blend space, color mix, shade, background."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_render_equals_the_engines_picture(
    blender: Blender, tmp_path: Path, case: tuple[BlendSpace, float, float, str]
) -> None:
    write_job(tmp_path, *case)
    renders = [(frame + 1, tmp_path / f"{frame}.png") for frame in range(FRAMES)]
    blender.run("import_job", job=tmp_path, renders=renders, samples=2)  # all in the middle of the pixel
    for frame, path in renders:
        wanted = premultiplied(tmp_path / "render" / f"{frame:04d}.png")
        off = 255 * np.abs(premultiplied(path) - wanted)
        assert off.mean() < 0.5, frame
        assert np.percentile(off, 99.9) <= 2, frame
