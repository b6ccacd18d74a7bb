# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of Blender as target and bitmaps: what the Image Editor shows, and what selected objects show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from . import image_files
from .bridge.errors import SmaltiError
from .picture_files import PICTURES, number_of, sequence_of
from .ways_in import attempt, frames_folder, set_target


class SMALTI_OT_image_as_target(bpy.types.Operator):
    """Rebuild the picture that this editor shows, or the sequence"""

    bl_idname = "smalti.image_as_target"
    bl_label = "Use as Target"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if getattr(context.space_data, "image", None) is None:
            cls.poll_message_set("Choose an image in the Image Editor first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        return attempt(self, lambda: _use(context.space_data, context.scene))


def _use(editor: Any, scene: Any) -> str:
    image = editor.image
    if image.source == 'MOVIE':
        set_target(scene, bpy.path.abspath(image.filepath, library=image.library))
    elif image.source == 'SEQUENCE':
        frames = _frames_of(image, editor.image_user)
        set_target(scene, frames_folder(frames), len(frames))
    else:
        path = image_files.path_of(image) or image_files.written(image, scene, image_files.folder("targets"))
        set_target(scene, path)
    return f"Target: {image.name}"


def _frames_of(image: Any, user: Any) -> list[str]:
    """The files of an image sequence in the range that the editor shows. Raises OSError and SmaltiError."""
    paths = sequence_of(bpy.path.abspath(image.filepath, library=image.library))
    numbers = range(user.frame_offset + 1, user.frame_offset + user.frame_duration + 1)
    found = [path for path in paths if number_of(path) in numbers] or paths
    if os.path.splitext(found[0])[1].lower() not in PICTURES:
        hint = "Save its frames as PNG, and choose the folder as the target."
        raise SmaltiError(f"{os.path.basename(found[0])} is of a kind that cannot be read as frames.", hint)
    return found


class SMALTI_OT_selected_as_bitmaps(bpy.types.Operator):
    """Build with the images of the selected objects: of image empties, and in the materials of meshes"""

    bl_idname = "smalti.selected_as_bitmaps"
    bl_label = "Use Selected Images"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not context.selected_objects:
            cls.poll_message_set("Select objects with images first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        return attempt(self, lambda: _gather(context.selected_objects, context.scene))


def _gather(items: Any, scene: Any) -> str:
    images = list(dict.fromkeys(image for item in items for image in _images_of(item)))
    if not images:
        hint = "Select image empties, or meshes whose materials have image textures."
        raise SmaltiError("The selected objects show no images.", hint)
    folder = image_files.new_folder("bitmaps")
    for image in images:
        path = image_files.path_of(image)
        if path is None:
            image_files.written(image, scene, folder)
        else:
            image_files.put(Path(bpy.path.abspath(path)), folder, image_files.file_name(image.name))
    scene.smalti.primitives = folder
    return f"Bitmaps: {len(images)}, in {Path(folder).name}"


def _images_of(item: Any) -> Iterator[Any]:
    """The images that an object shows, films left out."""
    if item.type == 'EMPTY' and item.empty_display_type == 'IMAGE' and item.data is not None:
        found = [item.data]
    else:
        trees = [slot.material.node_tree for slot in item.material_slots if slot.material and slot.material.node_tree]
        found = [image for tree in trees for image in _images_in(tree, set())]
    yield from (image for image in found if image.source not in {'MOVIE', 'VIEWER'})


def _images_in(tree: Any, seen: set[str]) -> Iterator[Any]:
    if tree.name_full in seen:
        return
    seen.add(tree.name_full)
    for node in tree.nodes:
        if node.type == 'TEX_IMAGE' and node.image is not None:
            yield node.image
        elif node.type == 'GROUP' and node.node_tree is not None:
            yield from _images_in(node.node_tree, seen)


class SMALTI_PT_image(bpy.types.Panel):
    """What can be done with the image in the Image Editor"""

    bl_idname = "SMALTI_PT_image"
    bl_label = "Smalti"
    bl_space_type = 'IMAGE_EDITOR'
    bl_region_type = 'UI'
    bl_category = "Smalti"

    def draw(self, context: Any) -> None:
        self.layout.operator(SMALTI_OT_image_as_target.bl_idname, icon='IMAGE_DATA')


def _draw_in_menu(menu: Any, context: Any) -> None:
    menu.layout.separator()
    menu.layout.operator(SMALTI_OT_image_as_target.bl_idname, text="Use as Target for Smalti")


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SMALTI_OT_image_as_target, SMALTI_OT_selected_as_bitmaps, SMALTI_PT_image)
)


def register() -> None:
    """Add the operators, and an entry to the Image Editor's menu."""
    _register_classes()
    bpy.types.IMAGE_MT_image.append(_draw_in_menu)


def unregister() -> None:
    """Take them away again."""
    bpy.types.IMAGE_MT_image.remove(_draw_in_menu)
    _unregister_classes()
