# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons that turn imported layers into a mosaic, and a mosaic into layers."""

import time
from typing import Any

import bpy

from . import converting, instances, notices, view
from .bridge.errors import SmaltiError


def _mosaic(context: Any) -> Any | None:
    """The scene's current mosaic that shows; None where it holds layers."""
    collection = view.current(context.scene)
    mosaic = instances.find(collection) if collection is not None else None
    return mosaic if mosaic is not None and not mosaic.hide_viewport else None


def _possible(operator: Any, context: Any) -> bool:
    if context.mode != 'OBJECT':
        operator.poll_message_set("Leave the edit mode first")
        return False
    if view.current(context.scene) is None:
        operator.poll_message_set("Import layers first")
        return False
    return True


class SMALTI_OT_convert_to_layers(bpy.types.Operator):
    """Make an object of each sprite of the mosaic, as it is now, with its keys"""

    bl_idname = "smalti.convert_to_layers"
    bl_label = "Convert to Layers"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not _possible(cls, context):
            return False
        if _mosaic(context) is None:
            cls.poll_message_set("These are layers already")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        began = time.perf_counter()
        mosaic: Any = _mosaic(context)  # of poll
        kept = f". {mosaic.name} is kept, hidden, with what was added to it" if instances.has_own_work(mosaic) else ""
        try:
            done = converting.to_layers(view.current(context.scene), mosaic)
        except SmaltiError as fault:
            return notices.failed(self, fault)
        self.report({'INFO'}, f"{done.sprites:,} layers in {time.perf_counter() - began:.1f} s{kept}")
        return {'FINISHED'}


class SMALTI_OT_convert_to_mosaic(bpy.types.Operator):
    """Make one object with geometry nodes of all layers, as they are now, with their keys"""

    bl_idname = "smalti.convert_to_mosaic"
    bl_label = "Convert to Mosaic"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not _possible(cls, context):
            return False
        if _mosaic(context) is not None:
            cls.poll_message_set("This is a mosaic already")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        began = time.perf_counter()
        try:
            done = converting.to_mosaic(view.current(context.scene))
        except SmaltiError as fault:
            return notices.failed(self, fault)
        text = f"{done.sprites:,} sprites in {time.perf_counter() - began:.1f} s"
        if done.left:
            text += f". {done.left:,} had modifiers, constraints or keys that a mosaic does not have"
        self.report({'WARNING' if done.left else 'INFO'}, text)
        return {'FINISHED'}


OPERATORS = (SMALTI_OT_convert_to_layers, SMALTI_OT_convert_to_mosaic)
register, unregister = bpy.utils.register_classes_factory(OPERATORS)


def draw(layout: Any, context: Any) -> None:
    """Draw the button that is possible."""
    layout.operator(OPERATORS[_mosaic(context) is None].bl_idname, icon='MOD_EXPLODE')
