# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's palettes as a job's: which codes their colors have, and the buttons that make and change one here."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import IntProperty

from . import notices
from .bridge.errors import SmaltiError
from .bridge.rules import palette_rule
from .compat import palette_color_from_srgb, palette_color_in_srgb
from .hex_colors import code_of, color_of

_COLUMNS = 4


def codes_of(palette: Any) -> tuple[str, ...]:
    """The colors of a palette as a job has them, each once, in their order."""
    return tuple(dict.fromkeys(code_of(palette_color_in_srgb(color)) for color in palette.colors))


def typed_codes(text: str) -> tuple[str, ...]:
    """The codes in a text, with commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def fill(palette: Any, codes: tuple[str, ...]) -> None:
    """Add colors to a palette."""
    for code in codes:
        palette_color_from_srgb(palette.colors.new(), color_of(code))


class SMALTI_OT_new_palette(bpy.types.Operator):
    """Make a palette of Blender's, with the colors of the codes where some are typed"""

    bl_idname = "smalti.new_palette"
    bl_label = "New Palette"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        codes = typed_codes(settings.palette)
        if codes and (rule := palette_rule(codes)):
            return notices.failed(self, SmaltiError(f"The palette must be {rule}."))
        settings.blender_palette = bpy.data.palettes.new("Smalti")
        fill(settings.blender_palette, codes or ("#000000", "#ffffff"))
        return {'FINISHED'}


class _OfPalette:
    """Where the panel's palette can be changed."""

    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        palette = context.scene.smalti.blender_palette
        if palette is None or not palette.is_editable:
            cls.poll_message_set("Choose a palette of this file first")  # type: ignore[attr-defined]
            return False
        return True


class SMALTI_OT_add_palette_color(_OfPalette, bpy.types.Operator):
    """Add a color to the palette"""

    bl_idname = "smalti.add_palette_color"
    bl_label = "Add Color"

    def execute(self, context: Any) -> set[str]:
        context.scene.smalti.blender_palette.colors.new()
        return {'FINISHED'}


class SMALTI_OT_remove_palette_color(_OfPalette, bpy.types.Operator):
    """Remove this color from the palette"""

    bl_idname = "smalti.remove_palette_color"
    bl_label = "Remove Color"

    index: IntProperty(min=0, options={'HIDDEN'})

    def execute(self, context: Any) -> set[str]:
        colors = context.scene.smalti.blender_palette.colors
        if self.index >= len(colors):
            return {'CANCELLED'}
        colors.remove(colors[self.index])
        return {'FINISHED'}


def draw(layout: Any, settings: Any) -> None:
    """The palette with its colors, or, where none is chosen, the codes."""
    row = layout.row(align=True)
    row.prop(settings, "blender_palette")
    row.operator(SMALTI_OT_new_palette.bl_idname, text="", icon='ADD')
    palette = settings.blender_palette
    if palette is None:
        layout.prop(settings, "palette", text="Codes", placeholder="#rrggbb, #rrggbb")
        return
    colors = layout.grid_flow(row_major=True, columns=_COLUMNS, even_columns=True, align=True)
    colors.use_property_split = False
    for index, color in enumerate(palette.colors):
        cell = colors.row(align=True)
        cell.prop(color, "color", text="")
        cell.operator(SMALTI_OT_remove_palette_color.bl_idname, text="", icon='X').index = index
    layout.operator(SMALTI_OT_add_palette_color.bl_idname, icon='ADD')


register, unregister = bpy.utils.register_classes_factory(
    (SMALTI_OT_new_palette, SMALTI_OT_add_palette_color, SMALTI_OT_remove_palette_color)
)
