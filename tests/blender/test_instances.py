# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as one object of geometry nodes instances: exact colors, films, attributes, converting to layers and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from blenders import Blender
from pictures import psnr
from synthetic import COLOR_CASES, write_color_jobs

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_cycles_shows_the_exact_colors_of_instances(blender: Blender, tmp_path: Path) -> None:
    jobs = write_color_jobs(tmp_path)
    result = blender.run("show_colors", jobs=[(job, job / "cycles.png") for job in jobs], form='MOSAIC')
    for job, case, told in zip(jobs, COLOR_CASES, result["jobs"], strict=True):
        found = psnr(job / "cycles.png", job / "render.png")
        print(f"{blender.python.parents[1].name} {case[:4]}: {found:.1f} dB")
        assert found > case[4], case
        assert told["after"] == []
