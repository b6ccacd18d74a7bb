# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels work in a process that was forked from one where they had threads."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from optimisers import optimiser, settings

from smalti.engine.raster import draw

LIMIT = 30.0  # seconds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_draws_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.engine.cpu.threads", lambda: 3)
    scene = optimiser(True, settings()).scene()
    expected = draw(scene, "cpu")
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(draw(scene, "cpu"), expected) else 1)
    until = time.monotonic() + LIMIT
    ended = 0, 0
    while ended[0] == 0 and time.monotonic() < until:
        ended = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if ended[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)
    np.testing.assert_array_equal(draw(scene, "cpu"), expected)
