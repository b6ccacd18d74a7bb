# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's Blender extension: fits in an engine process of its own, and brings the result in as layers.

Each module of modules.py registers what it defines; `register` and `unregister` only call them in order.
"""

from importlib import import_module
from types import ModuleType

_registered: list[ModuleType] = []


def _modules() -> tuple[ModuleType, ...]:
    """The extension's modules; where the Python has no NumPy, as in some distributions, the one that says so."""
    try:
        import_module("numpy")
    except ImportError:
        return (import_module(".without_numpy", __package__),)
    return tuple(import_module(".modules", __package__).MODULES)


def register() -> None:
    """Add everything to Blender."""
    for module in _modules():
        module.register()
        _registered.append(module)


def unregister() -> None:
    """Take everything away, the last first, and end the engine."""
    while _registered:
        _registered.pop().unregister()
