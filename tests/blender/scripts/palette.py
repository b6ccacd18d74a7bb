# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose colors by codes and by a palette of Blender's; say what the job has of them."""

from typing import Any

import bpy
import drawing
import inside

inside.enable("")
values, rows = (
    inside.module("values"),
    inside.module("bridge.settings").settings_of(inside.module("bridge.job").JobSpec),
)
settings = bpy.context.scene.smalti
result: dict[str, Any] = {}


def note(step: str) -> None:
    result[step] = values.value_of(settings, rows["palette"])


note("none")
settings.palette = "#ff0080, #336699"
note("typed")
bpy.ops.smalti.new_palette()
note("made of the codes")
bpy.ops.smalti.add_palette_color()
inside.module("compat").palette_color_from_srgb(settings.blender_palette.colors[2], (0.4, 1.0, 0.0))
note("changed")
faults = drawing.drawn()[0]
bpy.ops.smalti.remove_palette_color(index=0)
note("removed")

# Where Blender says that a color is one of a screen (gamma), else of light.
color = settings.blender_palette.colors[0]
gamma = color.bl_rna.properties["color"].subtype == 'COLOR_GAMMA'
result["first part"] = round(color.color[0], 3), 0.2 if gamma else 0.033

settings.blender_palette.colors.clear()
try:
    note("empty")
except inside.module("bridge.errors").SmaltiError as fault:
    result["empty"] = str(fault)
settings.blender_palette, settings.palette = None, "red"
try:
    bpy.ops.smalti.new_palette()
except RuntimeError as fault:
    result["wrong code"] = str(fault)
inside.finish(**result, faults=faults)
