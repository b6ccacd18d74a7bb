# SPDX-License-Identifier: GPL-3.0-or-later
"""The same seed gives the same result, today as in every version before (see golden_jobs.py)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import golden_jobs

GOLDEN: dict[str, Any] = json.loads(golden_jobs.GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Mapping[str, Any]]]:
    root = tmp_path_factory.mktemp("golden")
    return root, golden_jobs.jobs(golden_jobs.inputs(root))


@pytest.mark.parametrize("name", GOLDEN["psnr"])
def test_a_job_gives_what_it_gave_before(name: str, table: tuple[Path, Mapping[str, Mapping[str, Any]]]) -> None:
    root, settings = table
    found = {name: golden_jobs.run(name, settings[name], root)}
    assert golden_jobs.differences(found, GOLDEN, golden_jobs.kind_of_machine()) == []
