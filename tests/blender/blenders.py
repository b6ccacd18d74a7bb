# SPDX-License-Identifier: GPL-3.0-or-later
"""Blenders (bpy wheels, each in an environment of its own) that run scripts with the extension installed.

They are looked for in the folders that SMALTI_BLENDER_ENVS names (separated as in PATH), else in build/blender/*. Every
script runs in a process of its own, with user resources of its own, and never sees the engine's environment but
through the path of its Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).with_name("scripts")
RESULT = "SMALTI_RESULT "


def environments() -> list[Path]:
    """The folders of the environments that have a Python."""
    named = os.environ.get("SMALTI_BLENDER_ENVS")
    folders = [Path(f) for f in named.split(os.pathsep)] if named else sorted((ROOT / "build" / "blender").glob("*"))
    return [folder for folder in folders if python_of(folder).is_file()]


def python_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@dataclass(frozen=True)
class Blender:
    """One Blender. `resources` is its folder of user settings, in which the extension is installed."""

    python: Path
    resources: Path

    def run(self, script: str, timeout: float = 300, **arguments: Any) -> Any:
        """Run a script of the folder scripts/ with `arguments`; returns what it handed to `inside.finish`."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
        environment |= {
            "BLENDER_USER_RESOURCES": str(self.resources),
            "SMALTI_PYTHON": environment.get("SMALTI_PYTHON", sys.executable),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [str(self.python), str(SCRIPTS / f"{script}.py"), json.dumps(arguments, default=str)],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            env=environment,
        )
        result = next((line for line in done.stdout.splitlines() if line.startswith(RESULT)), None)
        if done.returncode or result is None:
            pytest.fail(f"{script} in {self.python}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return json.loads(result.removeprefix(RESULT))

    def tool(self) -> list[str]:
        """The command line of Blender's own extension tool."""
        (path,) = self.python.parents[1].rglob("bl_pkg/cli/blender_ext.py")
        return [str(self.python), str(path)]
