# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the middle of a fit: nothing of the engine is left, the job is whole, and the panel tells what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from blenders import Blender
from torture import SAID, Round, can_mount, play

pytestmark = [
    pytest.mark.blender,
    pytest.mark.slow,
    pytest.mark.oldest_and_newest,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and processes in /proc"),
]


@pytest.mark.parametrize("kind", SAID)
def test_a_fault_in_the_middle_of_a_fit_leaves_a_sentence_and_a_whole_job(
    blender: Blender, environment: Path, extension: Path, tmp_path: Path, kind: str
) -> None:
    if kind == "disk_full" and not can_mount():
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "round"
    folder.mkdir()
    found = play(Round(kind, 1, environment), blender.resources, extension, folder)
    assert found.faults == []
