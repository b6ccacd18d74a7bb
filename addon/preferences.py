# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the engine's Python is, and a button that starts the engine and shows its Hello."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from . import notices, session
from .bridge.version import VERSION


def engine_python() -> str:
    """The path of the engine's Python as set in the preferences; empty where none is."""
    addon = bpy.context.preferences.addons.get(__package__)
    return bpy.path.abspath(addon.preferences.engine_python) if addon else ""


def log_path() -> Path:
    """Where the engine's log goes: the extension's folder for its files, or, not installed as one, Blender's."""
    try:
        folder = bpy.utils.extension_path_user(__package__, create=True)
    except ValueError:
        folder = bpy.utils.user_resource('DATAFILES', path="smalti", create=True)
    return Path(folder) / "engine.log"


class SMALTI_OT_check_engine(bpy.types.Operator):
    """Start the engine and show what it says of itself"""

    bl_idname = "smalti.check_engine"
    bl_label = "Check"
    bl_options = {'INTERNAL'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not engine_python():
            cls.poll_message_set("Choose the engine's Python first")
            return False
        if session.task is not None:
            cls.poll_message_set("The engine is at work")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        session.outcome = session.Outcome()
        session.start_engine(engine_python(), log_path())
        return {'FINISHED'}


class SMALTI_AP_preferences(bpy.types.AddonPreferences):
    """Settings of the add-on"""

    bl_idname = __package__

    engine_python: StringProperty(
        name="Engine Python",
        description="The Python program of the environment in which Smalti's engine is installed",
        subtype='FILE_PATH',
    )

    def draw(self, context: Any) -> None:
        layout = self.layout
        row = layout.split(factor=0.85)
        row.prop(self, "engine_python")
        row.operator(SMALTI_OT_check_engine.bl_idname)
        hello = session.hello()
        if hello:
            names = ", ".join(hello.devices)
            text = f"Smalti {hello.engine_version} on {hello.device} (devices: {names}), Python {hello.python}"
            notices.lines(layout, context, text, 'CHECKMARK')
            if hello.engine_version != VERSION:
                notices.lines(
                    layout, context, f"The add-on is version {VERSION}: update the older of the two.", 'ERROR'
                )
        elif session.starting():
            layout.label(text="The engine starts...", icon='SORTTIME')
        elif session.outcome.failed:
            notices.lines(layout, context, f"{session.outcome.text}\n{session.outcome.hint}", 'ERROR')


register, unregister = bpy.utils.register_classes_factory((SMALTI_OT_check_engine, SMALTI_AP_preferences))
