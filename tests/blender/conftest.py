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

sys.path.insert(0, str(ROOT / "addon"))
import build_extension  # noqa: E402


def _environments() -> list[Path]:
    named = os.environ.get("SMALTI_BLENDER_ENVS")
    folders = [Path(f) for f in named.split(os.pathsep)] if named else sorted((ROOT / "build" / "blender").glob("*"))
    return [folder for folder in folders if _python(folder).is_file()]


def _python(folder: Path) -> Path:
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "environment" not in metafunc.fixturenames:
        return
    found = _environments()
    skip = pytest.mark.skip("no Blender: name folders of environments with bpy in SMALTI_BLENDER_ENVS")
    metafunc.parametrize(
        "environment",
        found or [pytest.param(None, marks=skip)],
        ids=[f.name for f in found] or ["none"],
        scope="session",
    )


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, built from the checkout."""
    return build_extension.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def bare_blender(environment: Path, tmp_path: Path) -> Blender:
    """A Blender without the extension."""
    return Blender(_python(environment), tmp_path / "resources")


@pytest.fixture(scope="session")
def blender(environment: Path, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Blender:
    """A Blender in which the extension is installed and enabled."""
    found = Blender(_python(environment), tmp_path_factory.mktemp("resources"))
    found.run("install", zip=extension)
    return found
