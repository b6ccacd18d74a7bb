# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's Blender extension: fits in an engine process of its own, and brings the result in as layers.

Each module registers what it defines; `register` and `unregister` only call them in order.
"""

from . import (
    blender_images,
    camera_target,
    command_line,
    convert,
    fit,
    palettes,
    preferences,
    presets,
    properties,
    regions,
    result,
    session,
    surfaces,
    thumbnails,
    view,
    ways_in,
)

_MODULES = (
    preferences,
    properties,
    palettes,
    presets,
    thumbnails,
    ways_in,
    blender_images,
    camera_target,
    session,
    regions,
    fit,
    surfaces,
    view,
    convert,
    result,
    command_line,
)


def register() -> None:
    """Add everything to Blender."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """Take everything away, the last first, and end the engine."""
    for module in reversed(_MODULES):
        module.unregister()
