# SPDX-License-Identifier: GPL-3.0-or-later
"""Those modules of the extension that know no Blender, without one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import smalti.bridge

_PACKAGE = "smalti_addon_without_blender"


def addon_module(name: str) -> Any:
    """A module of `addon/`, by its name."""
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(Path(__file__).resolve().parents[2] / "addon")]
        sys.modules |= {_PACKAGE: package, f"{_PACKAGE}.bridge": smalti.bridge}
    return importlib.import_module(f"{_PACKAGE}.{name}")
