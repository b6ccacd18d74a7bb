# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: how a picture is made, under a name, for other pictures.

A preset holds the look and all that belongs to it: every setting in the panel but files and folders, a text, regions,
a frame and the seed, which are about one picture. It is a script, as Blender's own presets are, but is read line by
line: what another version of the extension does not know is left out, and what it does not say is at its default.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel
from bpy.props import StringProperty

from . import palettes
from .bridge.job import JobSpec
from .bridge.settings import settings_of

FOLDER = "smalti"
_OF_ONE_PICTURE = ("text", "regions", "target_frame", "frames", "seed")
_FIRST = "look"  # which changes others
_OWNER = "settings"


def names() -> tuple[str, ...]:
    """The properties that a preset holds, in the order in which they are set."""
    rows = settings_of(JobSpec).items()
    found = [name for name, one in rows if one.page is not None and not one.path and name not in _OF_ONE_PICTURE]
    found.insert(found.index("background") + 1, "background_colour")
    return tuple(sorted(found, key=lambda name: name != _FIRST))


def written(settings: Any) -> str:
    """The preset of the panel's settings."""
    lines = ["import bpy", f"{_OWNER} = bpy.context.scene.smalti", ""]
    for name in names():
        value = getattr(settings, name)
        if name == "palette" and settings.blender_palette is not None:
            value = ", ".join(palettes.codes_of(settings.blender_palette))
        if not isinstance(value, (bool, int, float, str)):
            value = [round(part, 6) for part in value]
        lines.append(f"{_OWNER}.{name} = {round(value, 6) if isinstance(value, float) else value!r}")
    return "\n".join(lines) + "\n"


def read(text: str) -> dict[str, Any]:
    """What a preset says, by the properties' names; lines that say nothing of the kind are left out."""
    found = {}
    for statement in _statements(text):
        match statement:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner), attr=name)]) if owner == _OWNER:
                try:
                    found[name] = ast.literal_eval(statement.value)
                except ValueError:
                    continue
    return found


def _statements(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError):
        return []


class SMALTI_OT_apply_preset(bpy.types.Operator):
    """Set the look, and how the picture is made, as in this preset; target, bitmaps and output stay"""

    bl_idname = "smalti.apply_preset"
    bl_label = "Apply Preset"
    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}

    filepath: StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    menu_idname: StringProperty(options={'HIDDEN', 'SKIP_SAVE'})

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        path = Path(self.filepath)
        try:
            found = read(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            found = {}
        if not found:
            self.report({'ERROR'}, f"{path.name} cannot be read as a preset of Smalti. Remove it, and add it again.")
            return {'CANCELLED'}
        settings.blender_palette = None
        unknown = []
        for name in names():
            settings.property_unset(name)
        for name, value in sorted(found.items(), key=lambda item: item[0] != _FIRST):
            try:
                if name not in names():
                    raise TypeError(name)
                setattr(settings, name, value)
            except TypeError:  # or it cannot have this value any more
                unknown.append(name)
        if unknown:
            self.report({'INFO'}, f"Not known to this version, and left out: {', '.join(unknown)}")
        return {'FINISHED'}


class SMALTI_OT_add_preset(AddPresetBase, bpy.types.Operator):
    """Keep the look, and how the picture is made, as a preset"""

    bl_idname = "smalti.add_preset"
    bl_label = "Add Preset"
    preset_menu = "SMALTI_PT_presets"
    preset_subdir = FOLDER

    def add(self, context: Any, filepath: str) -> None:
        """Write the preset into a file; Blender asks for its name."""
        Path(filepath).write_text(written(context.scene.smalti), encoding="utf-8")


class SMALTI_PT_presets(PresetPanel, bpy.types.Panel):
    """The presets, in the header of the panel"""

    bl_label = "Smalti Presets"
    preset_subdir = FOLDER
    preset_operator = SMALTI_OT_apply_preset.bl_idname
    preset_add_operator = SMALTI_OT_add_preset.bl_idname


register, unregister = bpy.utils.register_classes_factory(
    (SMALTI_OT_apply_preset, SMALTI_OT_add_preset, SMALTI_PT_presets)
)
