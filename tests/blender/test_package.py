# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension as a package: what is in the zip, Blender's own check of it, coming and going without a trace."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from blenders import ROOT, Blender

from smalti.bridge.version import VERSION


def test_manifest_states_the_version_of_the_bridge() -> None:
    manifest = tomllib.loads((ROOT / "addon" / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == VERSION


def test_zip_holds_the_addon_and_the_bridge_and_nothing_else(extension: Path) -> None:
    names = zipfile.ZipFile(extension).namelist()
    assert extension.name == f"smalti-{VERSION}.zip"
    assert {"blender_manifest.toml", "__init__.py", "LICENSE", "bridge/__init__.py", "bridge/client.py"} <= set(names)
    assert [n for n in names if "__pycache__" in n or n.endswith(".pyc") or "build_extension" in n] == []


def test_same_sources_give_the_same_zip(builder: ModuleType, extension: Path, tmp_path: Path) -> None:
    assert builder.build(tmp_path).read_bytes() == extension.read_bytes()


def test_addon_and_bridge_import_nothing_absolute_of_smalti() -> None:
    for path in [*(ROOT / "addon").glob("*.py"), *(ROOT / "bridge").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "import smalti" not in text, path
        assert "from smalti" not in text, path


@pytest.mark.blender
@pytest.mark.slow
def test_zip_passes_blenders_own_validation(bare_blender: Blender, extension: Path) -> None:
    done = subprocess.run(
        [*bare_blender.tool(), "validate", str(extension)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in (done.stdout + done.stderr).lower()


@pytest.mark.blender
@pytest.mark.slow
def test_extension_installs_works_and_leaves_nothing_behind(bare_blender: Blender, extension: Path) -> None:
    installed = bare_blender.run("install", zip=extension)
    assert installed == {"enabled": True, "panel": True}
    result = bare_blender.run("come_and_go")
    assert result["drawn"] == []
    assert result["added"], "nothing was registered, so the comparison below proves nothing"
    assert result["engine_ran"]
    assert result["left"] == {}
    package = next(bare_blender.resources.rglob("blender_manifest.toml")).parent
    assert {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()} == set(
        zipfile.ZipFile(extension).namelist()
    )
