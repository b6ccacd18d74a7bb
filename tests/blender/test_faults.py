# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the middle of a fit: nothing of the engine is left, the job is whole, and the panel names the next step."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from blenders import environments
from torture import SAID, can_mount, play_all, rounds

pytestmark = [
    pytest.mark.blender,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and processes in /proc"),
]


def test_every_fault_in_the_middle_of_a_fit_leaves_a_sentence_and_a_whole_job(extension: Path, tmp_path: Path) -> None:
    found = environments()
    if not found:
        pytest.skip("no Blender: name folders of environments with bpy in SMALTI_BLENDER_ENVS")
    todo = rounds(len(SAID) - (not can_mount()), 0, [*dict.fromkeys(found[:1] + found[-1:])])
    assert {(one.kind, *one.faults) for one in play_all(todo, extension, tmp_path)} == {(one.kind,) for one in todo}
