# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of every shape, and a mask that is hard to stay in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs import bitmaps, save

from smalti.engine.templates import Template, load_templates


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    """A soft disc, a bar, a ring and a long thin stroke."""
    folder = bitmaps(tmp_path_factory.mktemp("bitmaps"))
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    away = np.hypot(x, y)
    for name, alpha in (("ring", (away > 0.8) & (away < 0.95)), ("stroke", (abs(y) < 0.06) & (abs(x) < 0.95))):
        rgba = np.full((64, 64, 4), 90, np.uint8)
        rgba[..., 3] = 255 * alpha
        save(folder / f"{name}.png", rgba)
    return load_templates(folder)


@pytest.fixture(scope="session")
def crescent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask that is white in a crescent with a bay and a hole, and black elsewhere."""
    y, x = np.mgrid[0:256, 0:384]
    white = np.hypot(x - 180, y - 128) < 120
    white &= (np.hypot(x - 230, y - 100) > 50) & (np.hypot(x - 120, y - 160) > 20) & (abs(x - y - 60) > 4)
    return save(tmp_path_factory.mktemp("mask") / "crescent.png", (255 * white).astype(np.uint8))
