# SPDX-License-Identifier: GPL-3.0-or-later
"""Those modules of the extension that know no Blender, without one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import smalti.bridge

_PACKAGE = "smalti_addon_without_blender"


def addon_module(name: str) -> Any:
    """A module of `addon/`, by its name."""
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(Path(__file__).resolve().parents[2] / "addon")]
        # All of the bridge's modules, for one that is imported a second time would take the first one's place in it.
        for each in iter_modules(smalti.bridge.__path__):
            importlib.import_module(f"smalti.bridge.{each.name}")
        bridge = {name: module for name, module in sys.modules.items() if name.split(".")[:2] == ["smalti", "bridge"]}
        sys.modules |= {name.replace("smalti", _PACKAGE, 1): module for name, module in bridge.items()}
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{name}")
