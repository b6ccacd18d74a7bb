# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of regions in the sidebar, and the operators that add, remove and reorder them."""

from typing import Any

import bpy
from bpy.props import EnumProperty

from . import pages
from .bridge.rules import MAX_REGIONS


def _chosen(settings: Any) -> int:
    """The index of the chosen region; -1 where there are none."""
    return int(min(settings.region_index, len(settings.regions) - 1))


class SMALTI_UL_regions(bpy.types.UIList):
    """Regions, the lowest first, by the names of their masks, which their layers will have too"""

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        icon: int,
        active_data: Any,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        row = layout.row()
        if item.mask:
            row.label(text=item.name, icon='MOD_MASK', translate=False)
        else:
            row.label(text="No mask", icon='ERROR')
        count = row.row()
        count.alignment = 'RIGHT'
        count.label(text=f"{item.count:,}", translate=False)


class SMALTI_OT_add_region(bpy.types.Operator):
    """Add a part of the picture with sprites of its own"""

    bl_idname = "smalti.add_region"
    bl_label = "Add Region"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if len(context.scene.smalti.regions) >= MAX_REGIONS:
            cls.poll_message_set(f"A job has at most {MAX_REGIONS} regions")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        settings.regions.add()
        settings.region_index = len(settings.regions) - 1
        return {'FINISHED'}


class SMALTI_OT_remove_region(bpy.types.Operator):
    """Remove the chosen region"""

    bl_idname = "smalti.remove_region"
    bl_label = "Remove Region"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not context.scene.smalti.regions:
            cls.poll_message_set("There are no regions")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        settings.regions.remove(_chosen(settings))
        settings.region_index = max(0, _chosen(settings))
        return {'FINISHED'}


class SMALTI_OT_move_region(bpy.types.Operator):
    """Move the chosen region in the list; at the start of a fit, each lies above those before it"""

    bl_idname = "smalti.move_region"
    bl_label = "Move Region"
    bl_options = {'REGISTER', 'UNDO'}

    direction: EnumProperty(
        name="Direction",
        items=(
            ('UP', "Up", "Toward the beginning of the list"),
            ('DOWN', "Down", "Toward the end of the list"),
        ),
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if len(context.scene.smalti.regions) < 2:
            cls.poll_message_set("There is no other region")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        start = _chosen(settings)
        end = start + (1 if self.direction == 'DOWN' else -1)
        if 0 <= end < len(settings.regions):
            settings.regions.move(start, end)
            settings.region_index = end
        return {'FINISHED'}


def draw(layout: Any, settings: Any) -> None:
    """The list with its buttons, and the settings of the chosen region."""
    row = layout.row()
    row.template_list(SMALTI_UL_regions.__name__, "", settings, "regions", settings, "region_index", rows=4)
    buttons = row.column(align=True)
    buttons.operator(SMALTI_OT_add_region.bl_idname, text="", icon='ADD')
    buttons.operator(SMALTI_OT_remove_region.bl_idname, text="", icon='REMOVE')
    buttons.separator()
    buttons.operator(SMALTI_OT_move_region.bl_idname, text="", icon='TRIA_UP').direction = 'UP'
    buttons.operator(SMALTI_OT_move_region.bl_idname, text="", icon='TRIA_DOWN').direction = 'DOWN'
    if not settings.regions:
        return
    pages.draw_region(layout, settings.regions[_chosen(settings)])


register, unregister = bpy.utils.register_classes_factory(
    (SMALTI_UL_regions, SMALTI_OT_add_region, SMALTI_OT_remove_region, SMALTI_OT_move_region)
)
