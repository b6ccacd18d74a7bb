# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Blender extension: ``python addon/build_extension.py dist`` writes ``dist/smalti-VERSION.zip``.

The zip holds addon/ at its root and bridge/ as a package beside the add-on's modules. The same sources give the same
bytes. What the manifest excludes is left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tomllib
import zipfile
from pathlib import Path

_ADDON = Path(__file__).resolve().parent
_ROOT = _ADDON.parent
_DATE = (1980, 1, 1, 0, 0, 0)


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


def build(folder: Path) -> Path:
    """Write the zip into `folder` and return its path.

    Raises:
        ValueError: manifest and bridge state two versions.
    """
    manifest = tomllib.loads((_ADDON / "blender_manifest.toml").read_text(encoding="utf-8"))
    version = manifest["version"]
    if f'VERSION = "{version}"' not in (_ROOT / "bridge" / "version.py").read_text(encoding="utf-8"):
        raise ValueError(f"addon/blender_manifest.toml says version {version}, and bridge/version.py another.")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{manifest['id']}-{version}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, source in files().items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, source.read_bytes())
    return path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the Blender extension.")
    parser.add_argument("folder", type=Path, help="where to write smalti-VERSION.zip")
    print(build(parser.parse_args().folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
