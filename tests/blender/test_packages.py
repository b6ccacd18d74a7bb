# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that another extension brought in a version that the engine cannot use. Needs no Blender."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from blenders import ROOT


@pytest.fixture
def packages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packages", ROOT / "addon" / "packages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _install(site: Path, name: str, version: str, *needs: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")


def _extension(repository: Path, name: str, *wheels: str) -> None:
    (repository / name).mkdir(parents=True)
    listed = ", ".join(f'"./wheels/{wheel}"' for wheel in wheels)
    (repository / name / "blender_manifest.toml").write_text(
        f'id = "{name}"\nname = "{name.title()}"\nwheels = [{listed}]\n'
    )


NEEDS = ("numpy>=1.26", "pillow>=10.3", "psd-tools>=1.26,<2", "wcwidth>=0.3,<1", 'torch>=2.4; extra == "torch"')


def test_packages_that_fit_are_not_mentioned(packages: ModuleType, tmp_path: Path) -> None:
    _install(tmp_path / "site", "smalti", "0.1.0", *NEEDS)
    for name, version in (("Pillow", "10.3"), ("psd_tools", "1.30.1"), ("wcwidth", "0.9.4"), ("torch", "1.0")):
        _install(tmp_path / "site", name, version)
    assert packages.faults(tmp_path / "site", [tmp_path / "repository"]) == []


def test_who_brought_an_older_package_is_named(packages: ModuleType, tmp_path: Path) -> None:
    _install(tmp_path / "site", "smalti", "0.1.0", *NEEDS)
    _install(tmp_path / "site", "Pillow", "9.5.0")
    _install(tmp_path / "site", "psd-tools", "2.0.1")
    _install(tmp_path / "site", "numpy", "1.24.3")
    _extension(tmp_path / "repository", "collage", "Pillow-9.5.0-cp311-cp311-win_amd64.whl")
    _extension(tmp_path / "repository", "innocent", "pillow-11.0.0-cp311-cp311-win_amd64.whl")
    _extension(tmp_path / "repository", "smalti", "pillow-9.5.0-cp311-cp311-win_amd64.whl")
    (tmp_path / "repository" / "broken").mkdir()
    (tmp_path / "repository" / "broken" / "blender_manifest.toml").write_text("= =")
    numpy, pillow, psd_tools = packages.faults(tmp_path / "site", [tmp_path / "gone", tmp_path / "repository"])
    assert pillow == (
        "The engine needs pillow >=10.3, and there is 9.5.0, which the extension Collage brought. "
        "Update or remove Collage, then restart Blender."
    )
    assert numpy == ("The engine needs numpy >=1.26, and there is 1.24.3, which is Blender's own. Use a newer Blender.")
    assert "psd-tools" in psd_tools
    assert "there is 2.0.1. Update the other extensions" in psd_tools


def test_a_folder_without_the_engine_says_nothing(packages: ModuleType, tmp_path: Path) -> None:
    assert packages.faults(tmp_path / "gone", []) == []
