# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that were stopped half-way, and pictures for jobs with regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs import badge, bitmaps, film, ramp, save, small_job
from runs import stopped

from smalti.engine.templates import Template, load_templates


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The folder of a job that was stopped half-way."""
    stopped(small_job(tmp_path), tmp_path / "job", 6)
    return tmp_path / "job"


@pytest.fixture
def half_film(tmp_path: Path) -> Path:
    """The folder of the job of a film of four frames that was stopped during the second."""
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 4)))
    stopped(job, tmp_path / "job", 14)
    return tmp_path / "job"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target, a badge, the folders `marks` and `petals`, and masks of its size, twice it, and a part of it."""
    folder = tmp_path_factory.mktemp("pictures")
    save(folder / "target.png", ramp())
    save(folder / "badge.png", badge())
    bitmaps(folder / "marks")
    bitmaps(folder / "petals")
    y, x = np.mgrid[0:64, 0:96]
    for name, white in (
        ("face", np.hypot(x - 30, y - 34) < 20),
        ("sky", (x > 56) & (y < 30)),
        ("all", x >= 0),
        ("left", x < 40),
    ):
        save(folder / f"{name}.png", (255 * white).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def templates(pictures: Path) -> list[Template]:
    return load_templates(pictures / "marks")
