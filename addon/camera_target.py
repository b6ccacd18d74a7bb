# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the scene's camera as the target: a whole render at the size of the canvas, with the scene's settings.

Size, format and path are the scene's again when it is done, however it ends.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import bpy

from . import image_files, notices, ways_in
from .bridge.errors import SmaltiError
from .compat import image_settings_kept, write_pictures
from .optional import OPEN

_INTERVAL = 0.25  # seconds between two looks at whether the render is done
_KEPT = ("resolution_x", "resolution_y", "resolution_percentage", "filepath", "use_file_extension", "use_overwrite",
         "use_multiview", "use_placeholder")  # fmt: skip


@dataclass
class _Render:
    """A render under way: names instead of references, which undo would free.

    Attributes:
        scene: its scene's name.
        path: where the picture goes, as the artist's path.
        kept: what the scene had, by the properties' names.
        image_kept: the same of its image settings, in the order in which they are set.
    """

    scene: str
    path: str
    kept: dict[str, Any]
    image_kept: list[tuple[str, Any]]

    def restore(self) -> None:
        """Give the scene back what it had."""
        scene = bpy.data.scenes.get(self.scene)
        if scene is None:
            return
        for name, value in self.kept.items():
            setattr(scene.render, name, value)
        for name, value in self.image_kept:
            setattr(scene.render.image_settings, name, value)


_running: _Render | None = None


def _begin(scene: Any) -> _Render:
    """Have the scene render into a file of its own, at the size of the canvas."""
    render = scene.render
    path = _new_path(scene.camera.name)
    found = _Render(
        scene.name,
        path,
        {name: getattr(render, name) for name in _KEPT},
        [(name, getattr(render.image_settings, name)) for name in image_settings_kept(render.image_settings)],
    )
    size = scene.smalti.size
    if size != OPEN:
        longer = max(render.resolution_x, render.resolution_y)
        render.resolution_x = max(4, round(render.resolution_x * size / longer))
        render.resolution_y = max(4, round(render.resolution_y * size / longer))
        render.resolution_percentage = 100
    write_pictures(render.image_settings)
    render.filepath = bpy.path.abspath(path)
    render.use_file_extension = render.use_overwrite = True
    render.use_multiview = render.use_placeholder = False
    return found


def _new_path(name: str) -> str:
    """A path that is not there yet: a job may go on with an earlier picture."""
    folder = image_files.folder("targets")
    number = 1
    while True:
        path = f"{folder}/{image_files.file_name(name)}{f' {number}' if number > 1 else ''}.png"
        if not os.path.exists(bpy.path.abspath(path)):
            return path
        number += 1


def _end(done: _Render) -> str:
    """Restore the scene, and take the picture as the target. Returns its path.

    Raises:
        SmaltiError: there is none.
    """
    done.restore()
    scene = bpy.data.scenes.get(done.scene)
    if scene is None or not os.path.isfile(bpy.path.abspath(done.path)):
        raise SmaltiError("The render was canceled or cannot be written, so the target is as it was.")
    ways_in.set_target(scene, done.path)
    return done.path


def tick() -> float | None:
    """Wait for the end of the render, in a window. Returns the seconds until the next call, or None."""
    global _running
    if _running is None:
        return None
    if bpy.app.is_job_running('RENDER'):
        return _INTERVAL
    done, _running = _running, None
    try:
        _end(done)
        notices.status("the camera's picture is the target.")
    except SmaltiError as fault:
        notices.status(str(fault))
    return None


class SMALTI_OT_render_as_target(bpy.types.Operator):
    """Render what the camera sees, at the size of the canvas and with the scene's settings, and rebuild that"""

    bl_idname = "smalti.render_as_target"
    bl_label = "Render Camera as Target"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene.camera is None:
            cls.poll_message_set("Add a camera to the scene first")
            return False
        if _running is not None or bpy.app.is_job_running('RENDER'):
            cls.poll_message_set("A render is running")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        global _running
        _running = _begin(context.scene)
        try:
            bpy.ops.render.render('INVOKE_DEFAULT', write_still=True)
        except RuntimeError as fault:
            _running.restore()
            _running = None
            return notices.failed(self, SmaltiError(f"It cannot be rendered ({fault})."))
        bpy.app.timers.register(tick, first_interval=_INTERVAL, persistent=True)
        return {'FINISHED'}

    def execute(self, context: Any) -> set[str]:
        begun = _begin(context.scene)
        try:
            bpy.ops.render.render(write_still=True)
            path = _end(begun)
        except RuntimeError as fault:
            return notices.failed(self, SmaltiError(f"It cannot be rendered ({fault})."))
        except SmaltiError as fault:
            return notices.failed(self, fault)
        finally:
            begun.restore()
        self.report({'INFO'}, f"Target: {os.path.basename(path)}")
        return {'FINISHED'}


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((SMALTI_OT_render_as_target,))


def register() -> None:
    """Add the operator."""
    _register_classes()


def unregister() -> None:
    """Take it away, and give a scene back what it had."""
    global _running
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if _running is not None:
        _running.restore()
        _running = None
    _unregister_classes()
