# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Blender extension: ``python addon/build_extension.py dist`` writes ``dist/smalti-VERSION.zip``.

The zip holds addon/ at its root and bridge/ as a package beside the add-on's modules. The same sources give the same
bytes. What the manifest excludes is left out.

With ``--wheels FOLDER`` the engine comes along: the wheels of Smalti and of what it needs, but for NumPy, which is
Blender's own. Then the zip is for one platform, and its name says for which.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

_ADDON = Path(__file__).resolve().parent
_ROOT = _ADDON.parent
_DATE = (1980, 1, 1, 0, 0, 0)
_OF_BLENDER = ("numpy-",)
_PLATFORMS: Mapping[tuple[str, str], str] = {
    ("manylinux", "x86_64"): "linux-x64",
    ("manylinux", "aarch64"): "linux-arm64",
    ("macosx", "x86_64"): "macos-x64",
    ("macosx", "arm64"): "macos-arm64",
    ("win", "amd64"): "windows-x64",
    ("win", "arm64"): "windows-arm64",
}
"""Blender's names of platforms, by what the names of wheels begin and end with."""


def _excluded(name: str, patterns: list[str]) -> bool:
    """Whether a file is left out. `name` is relative, with slashes; a pattern is as in the manifest."""
    parts = name.split("/")
    return any(
        pattern[:-1] in parts[:-1]
        if pattern.endswith("/")
        else fnmatch.fnmatch(name, pattern[1:])
        if pattern.startswith("/")
        else fnmatch.fnmatch(parts[-1], pattern)
        for pattern in patterns
    )


def files(root: Path = _ROOT) -> dict[str, Path]:
    """What the zip holds: name inside it -> source."""
    manifest = tomllib.loads((root / "addon" / "blender_manifest.toml").read_text(encoding="utf-8"))
    found = {}
    for source, prefix in ((root / "addon", ""), (root / "bridge", "bridge/")):
        for path in source.rglob("*"):
            name = prefix + path.relative_to(source).as_posix()
            if path.is_file() and not _excluded(name, manifest["build"]["paths_exclude_pattern"]):
                found[name] = path
    found["LICENSE"] = root / "LICENSE"
    return dict(sorted(found.items()))


def wheels_in(folders: list[Path]) -> dict[str, Path]:
    """The wheels that the extension brings: name inside the zip -> file. Each once, in alphabetical order."""
    found = {path.name: path for folder in folders for path in folder.glob("*.whl")}
    return {f"wheels/{name}": found[name] for name in sorted(found) if not name.startswith(_OF_BLENDER)}


def platform_of(wheels: Mapping[str, Path]) -> str:
    """The one platform that wheels are for, by Blender's name.

    Raises:
        ValueError: Smalti's own is not among them, or they are for two platforms or an unknown one.
    """
    if not any(path.name.startswith("smalti-") for path in wheels.values()):
        raise ValueError("there is no wheel of Smalti in these folders: make wheels first.")
    tags = {path.stem.rsplit("-", 1)[1] for path in wheels.values()} - {"any"}
    platforms = {
        name
        for tag in tags
        for (system, machine), name in _PLATFORMS.items()
        if tag.startswith(system) and tag.endswith(machine)
    }
    if len(platforms) != 1:
        raise ValueError(f"the wheels are not for one platform that Blender knows, but for {', '.join(sorted(tags))}.")
    return platforms.pop()


def manifest_with(text: str, wheels: Mapping[str, Path]) -> str:
    """The manifest with the wheels and their platform, before its first table."""
    platforms = json.dumps([platform_of(wheels)])
    listed = "".join(f'    "./{name}",\n' for name in wheels)
    head, table, rest = text.partition("\n[")
    return f"{head}\nplatforms = {platforms}\nwheels = [\n{listed}]\n{table}{rest}"


def build(folder: Path, wheel_folders: list[Path] | None = None) -> Path:
    """Write the zip into `folder` and return its path.

    Args:
        folder: where the zip goes; created where it is not there.
        wheel_folders: with the wheels of the engine and of what it needs; None for a zip without an engine.

    Raises:
        ValueError: manifest and bridge state two versions, or see `platform_of`.
    """
    text = (_ADDON / "blender_manifest.toml").read_text(encoding="utf-8")
    manifest = tomllib.loads(text)
    version = manifest["version"]
    if f'VERSION = "{version}"' not in (_ROOT / "bridge" / "version.py").read_text(encoding="utf-8"):
        raise ValueError(f"addon/blender_manifest.toml says version {version}, and bridge/version.py another.")
    folder.mkdir(parents=True, exist_ok=True)
    wheels = {} if wheel_folders is None else wheels_in(wheel_folders)
    suffix = "" if wheel_folders is None else f"-{platform_of(wheels).replace('-', '_')}"
    path = folder / f"{manifest['id']}-{version}{suffix}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, source in {**files(), **wheels}.items():
            entry = zipfile.ZipInfo(name, _DATE)
            # A wheel is compressed already.
            entry.compress_type = zipfile.ZIP_STORED if name in wheels else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            data = source.read_bytes()
            if wheels and name == "blender_manifest.toml":
                data = manifest_with(text, wheels).encode()
            archive.writestr(entry, data)
    return path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the Blender extension.")
    parser.add_argument("folder", type=Path, help="where to write the zip")
    parser.add_argument(
        "--wheels", type=Path, nargs="+", metavar="FOLDER", help="with wheels, which the zip is to hold"
    )
    options = parser.parse_args()
    try:
        print(build(options.folder, options.wheels))
    except ValueError as fault:
        print(f"build_extension: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
