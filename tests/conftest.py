# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# torch's OpenMP threads spin while they wait, which on a busy machine starves whoever they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parent.parent

# The user's own cache stays as it is.
os.environ.setdefault("SMALTI_CACHE", str(REPOSITORY / "build" / "cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures and films beside the checkout; skips where there is none."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real pictures in ../shared/data")
    return folder
