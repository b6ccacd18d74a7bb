# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the client share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import ScriptedEngine, worker

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    with worker(tmp_path) as running:
        yield running


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[str], ScriptedEngine]]:
    """Starts a script in the place of the engine."""
    started = []

    def start(script: str) -> ScriptedEngine:
        started.append(ScriptedEngine(tmp_path, script))
        started[-1].start()
        return started[-1]

    yield start
    for running in started:
        running.close(timeout=0.2)
