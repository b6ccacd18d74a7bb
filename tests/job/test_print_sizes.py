# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes on paper: what they are on the canvas, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import save, small_job
from runs import refused

from smalti.bridge.job import RegionSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.bridge.lengths import millimeters
from smalti.engine.job.inputs import read_inputs


@pytest.mark.parametrize(
    ("text", "length"),
    [("30cm", 300), ("5 mm", 5), ("1.5IN", 38.1), (".5cm", 5), ("0mm", None), ("5", None), ("-5mm", None), ("", None)],
)
def test_lengths_are_read_in_three_units(text: str, length: float | None) -> None:
    assert millimeters(text) == (None if length is None else pytest.approx(length))


def test_sizes_on_paper_follow_the_print(tmp_path: Path) -> None:
    half = np.zeros((64, 96), np.uint8)
    half[:, :48] = 255
    region = RegionSpec(str(save(tmp_path / "half.png", half)), 5, max_size="1in")
    sizes: dict[str, Any] = {"min_size": "5mm", "max_size": 48.0, "print_width": "10cm", "regions": (region,)}
    job = small_job(tmp_path, **sizes)
    own, there = (group.size_range for group in read_inputs(job).groups)
    assert own == pytest.approx((4.8, 48))  # of 96 pixels
    assert there[1] == pytest.approx(24.384)
    own = read_inputs(small_job(tmp_path, **sizes, size=48)).groups[0].size_range
    assert own == pytest.approx((2.4, 48))
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_size": "5mm"}, "min_size is '5mm', but must be in pixels where there is no print_width"),
        ({"min_size": "5 feet", "print_width": "1in"}, "min_size is '5 feet', but must be a length such as 5mm"),
        ({"print_width": "wide"}, "print_width is 'wide', but must be a length such as 5mm"),
        (
            {"print_width": "10cm", "min_size": "2cm", "max_size": 8.0},
            "min_size is '2cm', but must be at most max_size",
        ),
        ({"print_width": "1mm", "min_size": "9cm"}, "min_size is '9cm', but must be at most 1536 on this canvas"),
    ],
)
def test_sizes_on_paper_that_cannot_be(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    fault = refused(lambda: read_inputs(small_job(tmp_path, **settings)))
    assert words in fault.message
    assert fault.code == "bad_setting"
