# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test that takes a `blender` runs once in each Blender of `blenders.environments`.

One that shows the engine's doing more than Blender's is marked ``oldest_and_newest`` and runs in these two alone.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import exact_jobs
import pytest
from blenders import ROOT, Blender, environments, python_of
from synthetic import write_color_jobs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "environment" not in metafunc.fixturenames:
        return
    found = environments()
    if metafunc.definition.get_closest_marker("oldest_and_newest"):
        found = [*dict.fromkeys(found[:1] + found[-1:])]
    skip = pytest.mark.skip("no Blender: name folders of environments with bpy in SMALTI_BLENDER_ENVS")
    metafunc.parametrize(
        "environment",
        found or [pytest.param(None, marks=skip)],
        ids=[f.name for f in found] or ["none"],
        scope="session",
    )


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """The script that builds the extension, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("build_extension", ROOT / "addon" / "build_extension.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def extension(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, built from the checkout."""
    path: Path = builder.build(tmp_path_factory.mktemp("dist"))
    return path


@pytest.fixture(scope="session")
def whole_extension() -> Path:
    """The zip with the engine inside, as `make extension` left it."""
    found = sorted((ROOT / "dist").glob("smalti-*-*.zip"))
    if not found:
        pytest.skip("no extension with wheels: make extension")
    return found[-1]


@pytest.fixture(scope="session")
def color_jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A job for each of `synthetic.COLOR_CASES`, not to be changed."""
    return write_color_jobs(tmp_path_factory.mktemp("colors"))


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[exact_jobs.Case, Path]:
    """The job of a film of large bitmaps for each of `exact_jobs.CASES`, not to be changed."""
    folder = tmp_path_factory.mktemp("films")
    for number, case in enumerate(exact_jobs.CASES):
        exact_jobs.write_job(folder / str(number), *case)
    return {case: folder / str(number) for number, case in enumerate(exact_jobs.CASES)}


@pytest.fixture
def bare_blender(environment: Path, tmp_path: Path) -> Blender:
    """A Blender without the extension."""
    return Blender(python_of(environment), tmp_path / "resources")


@pytest.fixture(scope="session")
def blender(environment: Path, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Blender:
    """A Blender in which the extension is installed and enabled."""
    found = Blender(python_of(environment), tmp_path_factory.mktemp("resources"))
    found.run("install", zip=extension)
    return found
