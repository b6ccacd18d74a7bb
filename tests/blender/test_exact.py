# SPDX-License-Identifier: GPL-3.0-or-later
"""Large bitmaps that are drawn small: a render equals the engine's picture, in every frame, at any size of a sprite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from exact_jobs import FRAMES, Case
from pictures import premultiplied

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_renders_equal_the_engines_pictures(blender: Blender, films: dict[Case, Path], tmp_path: Path) -> None:
    pictures = {
        (case, frame): tmp_path / f"{number} {frame}.png"
        for number, case in enumerate(films)
        for frame in range(FRAMES)
    }
    jobs = [(job, [(frame + 1, pictures[case, frame]) for frame in range(FRAMES)]) for case, job in films.items()]
    blender.run("show_colors", jobs=jobs, samples=2)  # all in the middle of the pixel
    for (case, frame), path in pictures.items():
        wanted = premultiplied(films[case] / "render" / f"{frame + 1:04d}.png")
        off = 255 * np.abs(premultiplied(path) - wanted)
        assert off.mean() < 0.5, (case, frame)
        assert np.percentile(off, 99.9) <= 2, (case, frame)
