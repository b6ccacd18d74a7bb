# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests of the window find a Blender with one, and what they measured by the way.

`make window` sets that Blender up and runs them. Elsewhere they are left out, which the summary says in capitals.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from window import ROOT

SET_UP = ROOT / "build" / "window"  # by set_up.sh
SHOTS = ROOT / "build" / "window-shots"
REQUIRED = "SMALTI_WINDOW_REQUIRED"  # set where a test that cannot run is a failure
FIGURES = pytest.StashKey[dict[str, str]]()


def _lacking(what: str) -> None:
    if os.environ.get(REQUIRED):
        pytest.fail(what)
    pytest.skip(f"THE WINDOW IS NOT TESTED: {what}")


@pytest.fixture(scope="session")
def run() -> Path:
    """The program that starts others where Blender with a window is."""
    if not (SET_UP / "run").is_file():
        _lacking("make window sets up a Blender with a window, and there is none yet")
    return SET_UP / "run"


@pytest.fixture(scope="session")
def font() -> Path:
    """The typeface in which that Blender writes."""
    return SET_UP / "Inter.woff2"


@pytest.fixture(scope="session")
def archive() -> Path:
    """The extension with the engine inside, as `make extension` left it."""
    found = sorted((ROOT / "dist").glob("smalti-*-*.zip"))
    if not found:
        _lacking("make extension makes the extension, and there is none yet")
    return found[-1]


@pytest.fixture(scope="session")
def shots() -> Path:
    """The folder of screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """What a test measured, which is printed at the end: a name -> a figure with its unit."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    for name, figure in config.stash.get(FIGURES, {}).items():
        terminalreporter.write_line(f"{name:60} {figure:>16}")
