# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mosaic is made of can be chosen: exact colors or light, squares or outlines, reduced bitmaps or full ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from exact_jobs import write_job
from pictures import premultiplied

pytestmark = [pytest.mark.blender, pytest.mark.slow]


@pytest.mark.oldest_and_newest
def test_every_way_of_importing_shows_the_same_picture_and_surfaces_change_afterwards(
    blender: Blender, tmp_path: Path
) -> None:
    write_job(tmp_path / "job", "srgb", 0.5, 0.0, "#d0c0a0", count=60)
    imports = {
        "mosaic": {"form": 'MOSAIC', "outlines": True},
        "squares": {},
        "outlines": {"outlines": True},
    }
    result = blender.run("surfaces", job=tmp_path / "job", out=tmp_path, imports=imports)
    picture = premultiplied(tmp_path / "job" / "render" / "0001.png")

    def off(name: str) -> float:
        """Mean difference from the engine's picture, levels of 255."""
        return float(255 * np.abs(premultiplied(tmp_path / f"{name}.png") - picture).mean())

    for name in (*imports, "reduced", "exact"):
        assert off(name) < 0.5, name
    assert 0.3 < off("full") < 8, "bitmaps in full size differ in detail alone"
    assert off("dark") > 20, "without light there is none"
    assert off("light") < 8, "under white light it looks like the picture"
    assert result["stays"] == 'LIT', "a second import keeps the surface"
    assert result["faces"]["squares"] == [3, 3]
    meshes, faces = result["faces"]["outlines"]
    assert meshes > 3
    assert 4 * meshes < faces < 600 * meshes
    assert "elsewhere" in result["missing"]
    assert "Copy the whole job folder" in result["missing"]
