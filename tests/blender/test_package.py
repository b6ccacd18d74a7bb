# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension as a package: what is in the zip, Blender's own check of it, coming and going without a trace."""

from __future__ import annotations

import subprocess
import time
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from blenders import ROOT, Blender
from PIL import Image

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


def wheel(folder: Path, name: str) -> Path:
    path = folder / f"{name}.whl"
    path.write_bytes(name.encode())
    return path


def test_a_zip_with_wheels_is_for_their_platform_and_names_each_in_its_manifest(
    builder: ModuleType, tmp_path: Path
) -> None:
    for folder, tag in (("old", "cp311"), ("new", "cp313")):
        (tmp_path / folder).mkdir()
        wheel(tmp_path / folder, f"smalti-{VERSION}-{tag}-{tag}-manylinux_2_28_x86_64")
        wheel(tmp_path / folder, f"numpy-2.2.0-{tag}-{tag}-manylinux_2_28_x86_64")
        wheel(tmp_path / folder, "tqdm-4.67.1-py3-none-any")
    path = builder.build(tmp_path / "dist", [tmp_path / "old", tmp_path / "new"])
    assert path.name == f"smalti-{VERSION}-linux_x64.zip"
    archive = zipfile.ZipFile(path)
    manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["platforms"] == ["linux-x64"]
    assert len(manifest["wheels"]) == 3, "NumPy is Blender's own"
    assert {name.removeprefix("./") for name in manifest["wheels"]} <= set(archive.namelist())
    assert manifest["permissions"], "what follows the wheels is still there"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["tqdm-4.67.1-py3-none-any"], "no wheel of Smalti"),
        (["smalti-0.1.0-cp311-cp311-win_amd64", "pillow-12-cp311-cp311-macosx_11_0_arm64"], "not for one platform"),
        (["smalti-0.1.0-cp311-cp311-musllinux_1_2_riscv64"], "not for one platform"),
    ],
)
def test_wheels_that_make_no_extension_are_refused(
    builder: ModuleType, tmp_path: Path, names: list[str], said: str
) -> None:
    for name in names:
        wheel(tmp_path, name)
    with pytest.raises(ValueError, match=said):
        builder.build(tmp_path / "dist", [tmp_path])


@pytest.mark.blender
@pytest.mark.slow
def test_the_engine_comes_with_the_extension_and_goes_with_it(
    bare_blender: Blender, whole_extension: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "my pictures, schöne"
    folder.mkdir()
    Image.new("RGB", (48, 48), "teal").save(folder / "target.png")
    began = time.monotonic()
    installed = bare_blender.run("install", zip=whole_extension)
    assert (installed["enabled"], installed["panel"]) == (True, True)
    settings = {"target": str(folder / "target.png"), "primitives": str(ROOT / "examples" / "primitives")}
    result = bare_blender.run(
        "bundled", settings={**settings, "output": str(folder / "job"), "count": 20, "size": 48, "steps": 10}
    )
    took = {
        "install": installed["seconds"],
        **result["seconds"],
        "from the zip to the removal": time.monotonic() - began,
    }
    print(bare_blender.python.parents[1].name, {name: round(seconds, 2) for name, seconds in took.items()})
    assert took["from the zip to the removal"] < 120
    assert result["is_own"], "Blender's own Python runs it"
    assert not result["failed"], result["text"]
    assert (folder / "job" / "composition.json").is_file()
    assert result["layers"] > 10
    assert result["at_work"], "so it was not disabled in the middle of a fit"
    assert took["unregister"] < 0.1 * 3, "beside other work on the machine"
    assert result["left"] == []


@pytest.mark.blender
@pytest.mark.slow
def test_zip_with_the_engine_passes_blenders_own_validation(bare_blender: Blender, whole_extension: Path) -> None:
    done = subprocess.run(
        [*bare_blender.tool(), "validate", str(whole_extension)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
    assert (installed["enabled"], installed["panel"]) == (True, True)
    result = bare_blender.run("come_and_go")
    assert result["drawn"] == []
    assert result["added"], "nothing was registered, so the comparison below proves nothing"
    assert result["engine_ran"]
    assert result["left"] == {}
    package = next(bare_blender.resources.rglob("blender_manifest.toml")).parent
    assert {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()} == set(
        zipfile.ZipFile(extension).namelist()
    )


@pytest.mark.oldest_and_newest
@pytest.mark.blender
@pytest.mark.slow
def test_without_numpy_one_sentence_says_what_to_install(bare_blender: Blender, extension: Path) -> None:
    bare_blender.run("install", zip=extension)
    result = bare_blender.run("without_numpy")
    assert (result["said"], result["faults"], result["left"]) == ("", [], False)
    assert result["labels"][0] == "Smalti needs NumPy, which this Blender's Python lacks."
    assert "python3-numpy" in result["labels"][1]
