# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as one object of geometry nodes instances: exact colors, films, attributes, converting to layers and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from pictures import psnr
from synthetic import COLOR_CASES, write_color_jobs, write_job

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_cycles_shows_the_exact_colors_of_instances(blender: Blender, tmp_path: Path) -> None:
    jobs = write_color_jobs(tmp_path)
    result = blender.run("show_colors", jobs=[(job, job / "cycles.png") for job in jobs], form='MOSAIC')
    for job, case, told in zip(jobs, COLOR_CASES, result["jobs"], strict=True):
        found = psnr(job / "cycles.png", job / "render.png")
        print(f"{blender.python.parents[1].name} {case[:4]}: {found:.1f} dB")
        assert found > case[4], case
        assert told["after"] == []


@pytest.mark.parametrize("frames", [1, 3])
def test_converting_to_layers_and_back_gives_the_same_picture_and_keys(
    blender: Blender, tmp_path: Path, frames: int
) -> None:
    write_job(tmp_path / "job", count=20, frames=frames, width=64, height=48, shade=0.5)
    pictures = [tmp_path / f"{number}.png" for number in range(5)]
    frame = 6 if frames > 1 else None
    result = blender.run("convert", job=tmp_path / "job", pictures=pictures, frame=frame)
    drawn = tmp_path / "job" / ("render/0002.png" if frames > 1 else "render.png")
    assert psnr(pictures[0], drawn) > 46
    assert psnr(pictures[1], pictures[0]) > 80
    assert psnr(pictures[2], pictures[0]) > 80
    assert psnr(pictures[4], pictures[3]) > 80
    assert psnr(pictures[3], pictures[0]) < 40, "the artist's changes do not show"
    first, second, third = result["points"]
    assert np.array(first["location"]).shape == (frames, 20, 2)
    for name, values in first.items() if frames > 1 else list(first.items())[:-1]:
        assert np.allclose(second[name], values, atol=1e-6), name
    if frames > 1:
        assert first["frames"] == [5, 6, 7]
        keys = result["told"]["curves"][0]["location[0]"]
        assert np.allclose(keys, [(5 + f, first["location"][f][0][0]) for f in range(3)], atol=1e-6)
        assert result["told"]["curves"][-1] == {}, "the last sprites stand still"
    assert third["layer"] == [2, 3, *range(5, 21), 1], "by their height now"
    assert third["tilt"][0][0] == pytest.approx(0.5)
    assert np.allclose(np.array(third["color"])[:, 1], (1, 0, 0, 1))
    assert (result["changed"], result["deleted"]) == (([1, 2, 3], [4]) if frames == 1 else (result["changed"], [4]))
    assert result["told"]["after"][0] == 4, "the Empty, the background, the camera and the mosaic"
    assert result["told"]["after"][1:] == [0, []]
    assert result["left"] == []
