# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which engine is used, and a button that starts it and shows its Hello."""

import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from . import notices, packages, session
from .bridge.choices import DEVICES
from .bridge.engine_place import EnginePlace
from .bridge.version import VERSION

_faults: list[str] = []  # what is wrong with the engine's packages, found in the background
_bundled: EnginePlace | None = None  # looked for once, as panels ask whenever they are drawn


def engine_place() -> EnginePlace | None:
    """Where the engine is: that of the preferences, else the one that came with the extension; None without any."""
    addon = bpy.context.preferences.addons.get(__package__)
    custom = bpy.path.abspath(addon.preferences.engine_python) if addon else ""
    return EnginePlace(custom) if custom else _bundled


def _find_bundled() -> EnginePlace | None:
    """The engine among the wheels of Blender's extensions, run by Blender's own Python; None where there is none."""
    found = find_spec("smalti")
    folders = [*found.submodule_search_locations] if found and found.submodule_search_locations else []
    if not folders or not (Path(folders[0]) / "engine").is_dir():
        return None
    return EnginePlace(sys.executable, (str(Path(folders[0]).parent),))


def folder() -> Path:
    """The extension's folder for its files, or, not installed as one, Blender's."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, create=True))
    except ValueError:
        return Path(bpy.utils.user_resource('DATAFILES', path="smalti", create=True))


def log_path() -> Path:
    """Where the engine's log goes."""
    return folder() / "engine.log"


class SMALTI_OT_check_engine(bpy.types.Operator):
    """Start the engine and show what it says of itself"""

    bl_idname = "smalti.check_engine"
    bl_label = "Check"
    bl_options = {'INTERNAL'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if engine_place() is None:
            cls.poll_message_set("Choose an engine first")
            return False
        if session.task is not None:
            cls.poll_message_set("The engine is at work")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        session.outcome = session.Outcome()
        place = engine_place()
        assert place is not None  # of poll
        session.start_engine(place, log_path())
        _look_at_packages()
        return {'FINISHED'}


class SMALTI_AP_preferences(bpy.types.AddonPreferences):
    """Settings of the add-on"""

    bl_idname = __package__

    engine_python: StringProperty(
        name="Custom Engine",
        description="The Python program of an environment in which another build of the engine is installed. "
        "Empty for the engine that comes with the extension",
        subtype='FILE_PATH',
    )

    def draw(self, context: Any) -> None:
        layout = self.layout
        if _bundled is None and not self.engine_python:
            text = "This build of the extension comes without an engine: choose the Python in which one is installed."
            notices.lines(layout, context, text, 'ERROR')
        row = layout.split(factor=0.85)
        row.prop(self, "engine_python")
        row.operator(SMALTI_OT_check_engine.bl_idname)
        hello = session.hello()
        for text in _faults:
            notices.lines(layout, context, text, 'ERROR')
        if hello:
            device = DEVICES[hello.device].label if hello.device in DEVICES else hello.device
            text = f"Smalti {hello.engine_version} computes on {device}, with Python {hello.python}."
            notices.lines(layout, context, f"{text}\n{hello.device_reason}", 'CHECKMARK')
            if hello.engine_version != VERSION:
                notices.lines(
                    layout, context, f"The add-on is version {VERSION}: update the older of the two.", 'ERROR'
                )
        elif session.starting():
            layout.label(text="The engine starts...", icon='SORTTIME')
        elif session.outcome.failed:
            notices.lines(layout, context, f"{session.outcome.text}\n{session.outcome.hint}", 'ERROR')


_register_classes, unregister = bpy.utils.register_classes_factory((SMALTI_OT_check_engine, SMALTI_AP_preferences))


def _look_at_packages() -> None:
    """Find out in the background which of the bundled engine's packages do not fit it."""
    if _bundled is None:
        return
    site = Path(_bundled.folders[0])
    repositories = [Path(each.directory) for each in bpy.context.preferences.extensions.repos if each.enabled]

    def look() -> None:
        _faults[:] = packages.faults(site, repositories)

    threading.Thread(target=look, name="smalti packages", daemon=True).start()


def register() -> None:
    """Add the preferences, and look for the engine."""
    global _bundled
    _bundled = _find_bundled()
    _look_at_packages()
    _register_classes()
