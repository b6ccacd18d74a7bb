# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow finds motions that are known, and pictures that are moved by it are where they should be."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from moving import painting, panned

from smalti.bridge.errors import SmaltiError
from smalti.engine.motion import flow_between, grey, moved
from smalti.engine.motion.flow import vision

SHIFT = 3.0, -2.0  # pixels, x and y


def test_a_pan_is_found_both_ways() -> None:
    before, now = painting(), panned(painting(), SHIFT)
    flow = flow_between(grey(before), grey(now))
    inner = slice(12, -12), slice(12, -12)
    np.testing.assert_allclose(np.median(flow.ahead[inner], axis=(0, 1)), SHIFT, atol=0.1)
    np.testing.assert_allclose(np.median(flow.back[inner], axis=(0, 1)), np.negative(SHIFT), atol=0.1)
    assert flow.back_agrees[inner].mean() > 0.95


def test_a_picture_moved_back_is_the_one_before() -> None:
    before, now = painting(), panned(painting(), SHIFT)
    flow = flow_between(grey(before), grey(now))
    found = moved(before, flow.back)
    inner = slice(12, -12), slice(12, -12)
    assert np.abs(found - now)[inner].mean() < 0.25 * np.abs(before - now)[inner].mean()


def test_what_is_covered_does_not_agree() -> None:
    before = painting()
    now = before.copy()
    now[30:54, 40:70] = panned(painting(), (31.0, 17.0))[30:54, 40:70]
    flow = flow_between(grey(before), grey(now))
    covered = np.zeros(before.shape[:2], bool)
    covered[34:50, 44:66] = True
    assert flow.back_agrees[covered].mean() < 0.7 < flow.back_agrees[~covered].mean()


@pytest.mark.parametrize("size", [(4, 4), (7, 90), (20, 20), (24, 24), (25, 31)])
def test_small_pictures_have_a_flow(size: tuple[int, int]) -> None:
    before = painting()[: size[0], : size[1]]
    flow = flow_between(grey(before), grey(panned(before, (1.0, 0.0))))
    assert flow.back.shape == (*size, 2)
    assert np.isfinite(flow.back).all()


def test_a_repeated_frame_does_not_move() -> None:
    flow = flow_between(grey(painting()), grey(painting()))
    assert not flow.back.any()
    assert flow.ahead_agrees.all()


def test_without_opencv_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SmaltiError, match="OpenCV") as caught:
        vision()
    assert caught.value.code == "no_opencv"
    assert "smalti[film]" in str(caught.value.hint)
