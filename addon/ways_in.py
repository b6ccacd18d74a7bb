# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as target and bitmaps: dropped ones and sequences; and how the panel shows both, with what else they may be.

What is made for a job goes into ``//smalti``, or, before the Blender file is saved, beside the jobs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy
from bpy.props import CollectionProperty, StringProperty

from . import image_files, notices, thumbnails
from .bridge.errors import SmaltiError
from .picture_files import DRAWINGS, PICTURES, VIDEOS, is_whole_folder, natural_order, sequence_of


def set_target(scene: Any, path: str, frames: int = 1) -> None:
    """Make a picture, or a folder of frames, the target of a scene, and show it in the panel."""
    settings = scene.smalti
    settings.target = path
    for of_the_last_one in ("target_frame", "frames"):
        settings.property_unset(of_the_last_one)
    if os.path.splitext(path)[1].lower() in VIDEOS:
        settings.property_unset("frame_rate")  # it has its own
    if frames > 1:
        settings.frame_rate = scene.render.fps / scene.render.fps_base
    show_panel(bpy.context)


def show_panel(context: Any) -> None:
    """Open the panel in the viewport, where there is one."""
    for area in context.screen.areas if context.screen else ():
        if area.type == 'VIEW_3D':
            area.spaces.active.show_region_ui = True
            for region in area.regions:
                if region.type == 'UI':
                    with suppress(TypeError, AttributeError):  # its tabs are not there before it was drawn
                        region.active_panel_category = "Smalti"
    notices.redraw()


def attempt(operator: Any, work: Callable[[], str]) -> set[str]:
    """Do the work of an operator, and report what it returns, or what went wrong; returns what `execute` must return.

    `work` may raise SmaltiError, or OSError where a file cannot be read.
    """
    try:
        operator.report({'INFO'}, work())
    except OSError as fault:
        return notices.failed(operator, SmaltiError(f"{fault.filename}: cannot be read ({fault.strerror or fault})."))
    except SmaltiError as fault:
        return notices.failed(operator, fault)
    return {'FINISHED'}


def frames_folder(paths: list[str]) -> str:
    """A folder that holds these frames and no other pictures: their own, or a new one with copies.

    Raises:
        OSError: they cannot be read or copied.
    """
    if is_whole_folder(paths):
        return os.path.dirname(paths[0])
    name = image_files.file_name(os.path.basename(paths[0])).rstrip("0123456789_-. ") or "sequence"
    folder = image_files.new_folder(f"{name} frames")
    target = bpy.path.abspath(folder)
    os.makedirs(target)
    for path in paths:
        _take(path, os.path.join(target, os.path.basename(path)))
    return folder


def _take(source: str, target: str) -> None:
    """A second name for a file where the disk can do that, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check_endings(paths: list[str], endings: frozenset[str]) -> None:
    if not paths:
        raise SmaltiError("There is no file to use.", "Drop a picture.")
    for path in paths:
        name, ending = os.path.basename(path), os.path.splitext(path)[1].lower()
        if ending in VIDEOS - endings:
            raise SmaltiError(f"{name} is a video, and no bitmap.", "Choose pictures or drawings.")
        if ending not in endings:
            raise SmaltiError(f"{name} is of a kind that cannot be used here.", "Save it as PNG first.")


class _Dropped:
    """An operator that gets files, from a drop or from Blender's file browser."""

    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}

    directory: StringProperty(subtype='DIR_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={'HIDDEN', 'SKIP_SAVE'})

    @property
    def paths(self) -> list[str]:
        """The files' paths, in natural order of their names."""
        found = [os.path.join(self.directory, each.name) for each in self.files if each.name]
        return sorted(found, key=natural_order)


class SMALTI_OT_drop_target(_Dropped, bpy.types.Operator):
    """Rebuild this picture or film; several numbered pictures are the frames of an animation"""

    bl_idname = "smalti.drop_target"
    bl_label = "Use as Target for Smalti"

    def execute(self, context: Any) -> set[str]:
        return attempt(self, lambda: _use_as_target(self.paths, context.scene))


def _use_as_target(paths: list[str], scene: Any) -> str:
    _check_endings(paths, PICTURES | VIDEOS)
    if len(paths) == 1:
        set_target(scene, paths[0])
    elif set(paths) <= set(sequence_of(paths[0])):
        set_target(scene, frames_folder(paths), len(paths))
    else:
        hint = "Drop one picture, or frames with the same name and successive numbers."
        raise SmaltiError(f"{len(paths)} pictures cannot be one target.", hint)
    return f"Target: {Path(scene.smalti.target).name}"


class SMALTI_OT_drop_bitmaps(_Dropped, bpy.types.Operator):
    """Build with these pictures or drawings"""

    bl_idname = "smalti.drop_bitmaps"
    bl_label = "Use as Bitmaps for Smalti"

    def execute(self, context: Any) -> set[str]:
        return attempt(self, lambda: _use_as_bitmaps(self.paths, context))


def _use_as_bitmaps(paths: list[str], context: Any) -> str:
    settings = context.scene.smalti
    _check_endings(paths, PICTURES | DRAWINGS)
    if len(paths) == 1:
        settings.primitives = paths[0]
    elif is_whole_folder(paths):
        settings.primitives = os.path.dirname(paths[0])
    else:
        folder = image_files.new_folder("bitmaps")
        for path in paths:
            image_files.put(Path(path), folder, Path(path).stem)
        settings.primitives = folder
    show_panel(context)
    return f"Bitmaps: {len(paths)}, in {Path(settings.primitives).name}" if len(paths) > 1 else f"Bitmap: {paths[0]}"


class _OverViewport:
    """Offers a dropped file where the mouse is over a viewport."""

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        """Whether it is."""
        return context.area is not None and context.area.type == 'VIEW_3D'


class SMALTI_FH_target(_OverViewport, bpy.types.FileHandler):
    """Offers a dropped picture or film as the target"""

    bl_idname = "SMALTI_FH_target"
    bl_label = "Use as Target for Smalti"
    bl_import_operator = SMALTI_OT_drop_target.bl_idname
    bl_file_extensions = ";".join(sorted(PICTURES | VIDEOS))


class SMALTI_FH_bitmaps(_OverViewport, bpy.types.FileHandler):
    """Offers dropped pictures and drawings as bitmaps"""

    bl_idname = "SMALTI_FH_bitmaps"
    bl_label = "Use as Bitmaps for Smalti"
    bl_import_operator = SMALTI_OT_drop_bitmaps.bl_idname
    bl_file_extensions = ";".join(sorted(PICTURES | DRAWINGS))


class SMALTI_OT_use_frames(bpy.types.Operator):
    """Rebuild the whole sequence to which the target belongs by the number in its name"""

    bl_idname = "smalti.use_frames"
    bl_label = "Use the Whole Sequence"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not context.scene.smalti.target:
            cls.poll_message_set("Choose one of its pictures as the target first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        return attempt(self, lambda: _use_frames(context.scene))


def _use_frames(scene: Any) -> str:
    paths = sequence_of(os.path.abspath(bpy.path.abspath(scene.smalti.target)))
    if len(paths) < 2:
        raise SmaltiError("The target is not part of a sequence.", "Choose one with a number in its name.")
    set_target(scene, frames_folder(paths), len(paths))
    return f"Target: {len(paths)} frames"


class SMALTI_MT_target(bpy.types.Menu):
    """What else may be the target"""

    bl_idname = "SMALTI_MT_target"
    bl_label = "Other Targets"

    def draw(self, context: Any) -> None:
        self.layout.operator("smalti.render_as_target", icon='RENDER_STILL')
        self.layout.operator(SMALTI_OT_use_frames.bl_idname, icon='RENDER_ANIMATION')


class SMALTI_MT_bitmaps(bpy.types.Menu):
    """What else may be the bitmaps"""

    bl_idname = "SMALTI_MT_bitmaps"
    bl_label = "Other Bitmaps"

    def draw(self, context: Any) -> None:
        self.layout.operator("smalti.selected_as_bitmaps", icon='IMAGE_DATA')


def draw_target(layout: Any, settings: Any) -> None:
    """The target with its picture, the menu of what else it may be, and the sequence that it may belong to."""
    row = layout.row(align=True)
    row.prop(settings, "target")
    row.menu(SMALTI_MT_target.bl_idname, text="", icon='DOWNARROW_HLT')
    row = layout.row()
    found = thumbnails.draw(row, settings.target, "frames")
    if found is not None and found.frames > 1:
        button = row.row()
        button.alignment = 'RIGHT'
        text = f"{found.frames:,}"
        button.operator(SMALTI_OT_use_frames.bl_idname, text=text, icon='RENDER_ANIMATION', translate=False)


def draw_bitmaps(layout: Any, settings: Any) -> None:
    """The bitmaps with some of their pictures, and the menu of what else they may be."""
    row = layout.row(align=True)
    row.prop(settings, "primitives")
    row.menu(SMALTI_MT_bitmaps.bl_idname, text="", icon='DOWNARROW_HLT')
    thumbnails.draw(layout, settings.primitives, "bitmaps")


def draw_bitmaps_of_region(layout: Any, region: Any) -> None:
    """The same for a region."""
    layout.prop(region, "primitives")
    thumbnails.draw(layout, region.primitives, "bitmaps")


register, unregister = bpy.utils.register_classes_factory(
    (
        SMALTI_OT_drop_target,
        SMALTI_OT_drop_bitmaps,
        SMALTI_FH_target,
        SMALTI_FH_bitmaps,
        SMALTI_OT_use_frames,
        SMALTI_MT_target,
        SMALTI_MT_bitmaps,
    )
)
