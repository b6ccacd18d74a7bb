# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the extension that register something, in their order."""

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

MODULES = (
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
