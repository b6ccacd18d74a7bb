# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's engine: the renderer, the optimiser and the exporters.

from smalti.engine import export_job, fit, load_composition, load_templates, render

templates = load_templates("leaves")
composition = fit("portrait.jpg", templates, count=1500, size=768)
composition.save("portrait-job")
image = render(load_composition("portrait-job"), size=4096)   # float32, premultiplied, in the blend space
export_job("portrait-job", "psd")                             # portrait-job/layers.psd
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any


def _read_stub() -> dict[str, str]:
    """The public names, each with its module, from the imports of ``__init__.pyi``."""
    stub = ast.parse(Path(__file__).with_name("__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULES = _read_stub()
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the worker answers before the engine is loaded."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
