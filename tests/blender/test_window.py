# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a Blender with a window can show.

SMALTI_BLENDER is the command that starts one, e.g. ``xvfb-run -a blender``.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blenders import RESULT, SCRIPTS
from synthetic import write_bitmaps, write_job

pytestmark = [
    pytest.mark.blender,
    pytest.mark.slow,
    pytest.mark.skipif("SMALTI_BLENDER" not in os.environ, reason="SMALTI_BLENDER names no Blender with a window"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the engine's process in /proc"),
]


def _runs(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("end", ["quit", "kill"])
def test_import_and_regions_are_undone_step_by_step_and_no_end_of_blender_leaves_an_engine(
    extension: Path, tmp_path: Path, end: str
) -> None:
    write_job(tmp_path / "small", count=30, frames=3, pictures=False)
    write_bitmaps(tmp_path / "bitmaps")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
        "BLENDER_USER_RESOURCES": str(tmp_path / "resources"),
        "SMALTI_PYTHON": os.environ.get("SMALTI_PYTHON", sys.executable),
    }

    def blender(script: str, *options: str, **arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*shlex.split(os.environ["SMALTI_BLENDER"]), *options]
        command += ["--python-exit-code", "1", "--python", str(SCRIPTS / f"{script}.py"), "--"]
        return subprocess.run(
            [*command, json.dumps(arguments, default=str)],
            check=False, capture_output=True, text=True, timeout=240, env=environment,
        )  # fmt: skip

    installed = blender("install", "--background", zip=extension)
    assert '"enabled": true' in installed.stdout, installed.stdout + installed.stderr
    settings = {
        "target": tmp_path / "bitmaps" / "leaf.png", "primitives": tmp_path / "bitmaps", "output": tmp_path / "long",
        "count": 200, "size": 128, "steps": 100_000, "device": "CPU",
    }  # fmt: skip
    done = blender(
        "window", "--window-geometry", "0", "0", "1600", "1000", job=tmp_path / "small", settings=settings, end=end
    )
    told = done.stdout + done.stderr
    assert "Traceback" not in told, told
    line = next((line for line in done.stdout.splitlines() if line.startswith(RESULT)), None)
    assert line, told
    result = json.loads(line.removeprefix(RESULT))
    assert result["imported"]["objects"] == result["before"]["objects"] + 33  # the Empty too
    assert result["undone"] == result["before"]
    assert result["redone"] == result["imported"]
    assert result["regions"] == [1, 2, 1, 2, 1, 2, 1, 0]
    assert result["went_on"], "the job did not outlive File > New"
    assert result["output"] == str(tmp_path / "long")
    assert len(result["engine"]) == 1
    until = time.monotonic() + 5
    while _runs(result["engine"][0]) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _runs(result["engine"][0])
