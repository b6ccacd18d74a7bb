# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to an import and to the engine when things end: by undo, by another file, by quitting, by a crash.

Here a script does it inside of Blender, which is faster than the mouse and can count what is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from display import screen
from window import ROOT, blender

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SCRIPTS = ROOT / "tests" / "blender" / "scripts"
RESULT = "SMALTI_RESULT "
SPRITES = 30
LIMIT = 600.0  # seconds


def _runs(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("end", ["quit", "kill"])
def test_import_and_regions_are_undone_step_by_step_and_no_end_of_blender_leaves_an_engine(
    run: Path, font: Path, archive: Path, tmp_path: Path, end: str
) -> None:
    frames, bitmaps = ROOT / "examples" / "frames", ROOT / "examples" / "primitives"
    engine = [sys.executable, "-m", "smalti.engine", "fit", str(frames), "--primitives", str(bitmaps)]
    small = ["--out", str(tmp_path / "small"), "--count", str(SPRITES), "--size", "64", "--steps", "5"]
    subprocess.run([*engine, *small, "--frame-steps", "2"], check=True, capture_output=True)
    install = ["blender", "--command", "extension", "install-file", "--repo", "user_default", str(archive)]
    subprocess.run([run, *install], check=True, capture_output=True, env={**os.environ, "HOME": str(tmp_path)})
    settings = {
        "target": frames / "01.png", "primitives": bitmaps, "output": tmp_path / "long",
        "count": 200, "size": 128, "steps": 100_000, "device": "CPU",
    }  # fmt: skip
    given = json.dumps({"job": tmp_path / "small", "settings": settings, "end": end}, default=str)
    script = ["--python-exit-code", "1", "--python", str(SCRIPTS / "window.py"), "--", given]
    with screen([run], 1600, 1000) as display, blender(display, run, font, tmp_path, *script) as window:
        window.process.wait(LIMIT)
    told = window.printed()
    assert "Traceback" not in told, told
    line = next((line for line in told.splitlines() if line.startswith(RESULT)), None)
    assert line, told
    result = json.loads(line.removeprefix(RESULT))
    assert result["imported"]["objects"] > result["before"]["objects"] + SPRITES // 2
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
