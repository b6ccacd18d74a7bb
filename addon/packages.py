# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the engine that are too old because another extension brought them. Knows no Blender.

Blender keeps one folder of packages for all of its extensions, and one version of each package in it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*\(?([^;)]*)\)?\s*(;.*)?")
_BOUND = re.compile(r"\s*(>=|<|==|>|<=|!=|~=)\s*([\w.*]+)\s*")
_OWN = "smalti"
_OF_BLENDER = "numpy"


def faults(site: Path, repositories: Iterable[Path]) -> list[str]:
    """Sentences about the engine's packages that do not fit it, empty where all do. Reads the disk; never raises.

    Args:
        site: the folder of packages that the engine runs with.
        repositories: the folders in which extensions are.
    """
    try:
        installed = {_normal(each.metadata["Name"]): each for each in distributions(path=[str(site)])}
        own = installed.get(_OWN)
        needed = [] if own is None else list(_requirements(own))
        return [
            _sentence(name, bounds, installed[name].version, _bringers(name, installed[name].version, repositories))
            for name, bounds in needed
            if name in installed and not _fits(installed[name].version, bounds)
        ]
    except Exception:  # what others have put there can be broken in any way, and the engine says more as it starts
        return []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(own: Distribution) -> Iterator[tuple[str, str]]:
    """What the engine needs without extras: name and bounds, such as ``">=10.3,<12"``."""
    for line in own.requires or ():
        found = _REQUIREMENT.match(line)
        if found and "extra" not in (found[3] or ""):
            yield _normal(found[1]), found[2].strip()


def _fits(version: str, bounds: str) -> bool:
    """Whether a version is within bounds, of which those that name whole versions are looked at."""
    for part in filter(None, bounds.split(",")):
        found = _BOUND.fullmatch(part)
        if found is None:
            continue
        order = _compared(_numbers(version), _numbers(found[2]))
        if (found[1] == ">=" and order < 0) or (found[1] == "<" and order >= 0):
            return False
    return True


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version, maxsplit=1)[0])]


def _compared(one: list[int], other: list[int]) -> int:
    length = max(len(one), len(other))
    first, second = ([*each, *[0] * (length - len(each))] for each in (one, other))
    return (first > second) - (first < second)


def _bringers(name: str, version: str, repositories: Iterable[Path]) -> list[str]:
    """The names of the other extensions whose wheels hold this version of a package."""
    found = []
    for repository in repositories:
        for path in sorted(repository.glob("*/blender_manifest.toml")):
            try:
                manifest = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            wheels = [Path(each).name.split("-")[:2] for each in manifest.get("wheels", ())]
            if manifest.get("id") != _OWN and [_normal(name), version] in [[_normal(w[0]), w[-1]] for w in wheels]:
                found.append(str(manifest.get("name", manifest.get("id"))))
    return found


def _sentence(name: str, bounds: str, version: str, bringers: list[str]) -> str:
    text = f"The engine needs {name} {bounds.replace(',', ', ')}, and there is {version}"
    if bringers:
        whose = " and ".join(bringers)
        return f"{text}, which the extension {whose} brought. Update or remove {whose}, then restart Blender."
    if name == _OF_BLENDER:
        return f"{text}, which is Blender's own. Use a newer Blender."
    return f"{text}. Update the other extensions, then restart Blender."
