# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension is where Blender's Python has no NumPy, as in some distributions: a sentence that says so."""

from typing import Any

import bpy

TEXT = "Smalti needs NumPy, which this Blender's Python lacks."
HINT = "Install it (on Debian and Ubuntu, the package python3-numpy), and restart Blender."


class SMALTI_AP_without_numpy(bpy.types.AddonPreferences):
    """The sentence, in the preferences"""

    bl_idname = __package__

    def draw(self, context: Any) -> None:
        column = self.layout.column(align=True)
        column.label(text=TEXT, icon='ERROR')
        column.label(text=HINT, icon='BLANK1')


class SMALTI_PT_without_numpy(bpy.types.Panel):
    """The sentence, in the sidebar"""

    bl_idname = "SMALTI_PT_without_numpy"
    bl_label = "Smalti"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "Smalti"

    def draw(self, context: Any) -> None:
        column = self.layout.column(align=True)
        column.label(text="Blender's Python has no NumPy.", icon='ERROR')
        column.label(text="See the add-on's preferences.", icon='BLANK1')


_register_classes, unregister = bpy.utils.register_classes_factory((SMALTI_AP_without_numpy, SMALTI_PT_without_numpy))


def register() -> None:
    """Show the sentence."""
    print(f"{TEXT} {HINT}")
    _register_classes()
