# SPDX-License-Identifier: GPL-3.0-or-later
"""Outlines and fading of templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs import save, small_job
from runs import refused

from smalti.engine.job.inputs import read_inputs
from smalti.engine.templates import Template
from smalti.engine.templates.margin import with_margin
from smalti.engine.templates.shape import shaped


def disc(size: int = 99) -> Template:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    rgba = np.full((size, size, 4), (200, 40, 40, 255), np.uint8)
    rgba[..., 3] = 255 * np.clip((1 - np.hypot(x, y)) * size / 2, 0, 1)
    return Template("disc", with_margin(rgba), weight=2.0)


def test_an_outline_is_a_ring_of_its_thickness() -> None:
    (ring,) = shaped([disc()], outline=0.1, fade=0)
    middle = ring.rgba[50, :, 3] > 127
    assert middle.sum() == pytest.approx(2 * 10, abs=2)
    assert not middle[15:85].any()
    assert ring.rgba[50, 50, :3].tolist() == [200, 40, 40]
    assert ring.weight == 2.0
    whole = disc().rgba[..., 3].astype(int)
    assert (ring.rgba[..., 3] <= whole).all()


def test_an_outline_as_thick_as_the_bitmap_keeps_it_whole() -> None:
    (ring,) = shaped([disc()], outline=0.5, fade=0)
    assert (ring.rgba[..., 3] == disc().rgba[..., 3]).all()


def test_a_photograph_becomes_its_frame() -> None:
    photograph = Template("tile", with_margin(np.full((30, 60, 4), 255, np.uint8)))
    (frame,) = shaped([photograph], outline=0.05, fade=0)
    assert (frame.rgba[1:-1, 1:-1, 3] > 0).sum() == 30 * 60 - (30 - 2 * 3) * (60 - 2 * 3)


def test_fading_leaves_the_center_and_takes_the_edge() -> None:
    photograph = Template("tile", with_margin(np.full((61, 101, 4), 255, np.uint8)))
    (soft,) = shaped([photograph], outline=0, fade=0.5)
    alpha = soft.rgba[..., 3].astype(int)
    assert (alpha[31, 30:70] == 255).all()
    assert (np.diff(alpha[31, 51:]) <= 0).all()
    assert alpha[1, 1] == 0
    assert alpha[31, 1] < 4
    assert shaped([photograph], 0, 0) == [photograph]


def test_a_bitmap_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    corners = np.zeros((64, 64, 4), np.uint8)
    corners[:2, :2] = corners[-2:, -2:] = 255
    path = str(save(tmp_path / "corners.png", corners))
    assert refused(lambda: read_inputs(small_job(tmp_path, primitives=path, fade=1.0))).code == "bitmap_transparent"
    assert len(read_inputs(small_job(tmp_path, fade=1.0, outline=0.1)).templates) == 2
