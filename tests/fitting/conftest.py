# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets and templates that tests of fitting share."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs import badge, bitmaps, ramp, save

from smalti.engine.templates import Template, load_templates


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    """A soft disc and a bar, in the order of their names: the bar is the first."""
    return load_templates(bitmaps(tmp_path_factory.mktemp("bitmaps")))


@pytest.fixture(scope="session")
def ramp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 x 64 pixels, opaque: colors that change smoothly from corner to corner."""
    return save(tmp_path_factory.mktemp("ramp") / "ramp.png", ramp())


@pytest.fixture(scope="session")
def badge_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 x 64 pixels: a disc with a bar, transparent outside."""
    return save(tmp_path_factory.mktemp("badge") / "badge.png", badge())
