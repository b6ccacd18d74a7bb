# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# torch's OpenMP threads spin while they wait, which on a busy machine starves the threads that they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Likewise those of NumPy's matrix products, where several processes test at once.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent

# The user's own cache stays as it is.
os.environ.setdefault("SMALTI_CACHE", str(REPOSITORY / "build" / "cache"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--paintings",
        type=Path,
        metavar="FOLDER",
        help="the pictures of github.com/conflictednerd/differentiable-renderer (its folder images): also run the "
        "tests that compare with the figures published there",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, rather than skip, what needs pictures that do not come with Smalti."""
    if config.getoption("--paintings") is None:
        needy = [item for item in items if "paintings" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=needy)
        items[:] = [item for item in items if item not in needy]


@pytest.fixture(scope="session")
def paintings(request: pytest.FixtureRequest) -> Path:
    """The folder that --paintings names."""
    folder: Path = request.config.getoption("--paintings")
    return folder
