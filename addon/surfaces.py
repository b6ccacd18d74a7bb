# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be chosen afterwards of a mosaic's materials: exact colors or light, reduced bitmaps or full ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from . import edits, imported, materials, notices
from .bridge.errors import SmaltiError

SURFACES = (
    (materials.EXACT.upper(), materials.EXACT, "It has exactly the colors that were fitted, whatever light there is"),
    (materials.LIT.upper(), materials.LIT, "It takes light and casts shadows, on its own layers too"),
)
"""What a mosaic is made of, as a property has it."""


def is_lit(collection: Any) -> bool:
    """Whether an imported mosaic takes light."""
    return bool(collection.smalti_surface == materials.LIT.upper())


def apply(collection: Any) -> None:
    """Let the materials of an imported mosaic be as its property says."""
    for owner, tree in _trees(collection):
        if materials.LIT in tree.nodes:
            with edits.own_change(owner):
                materials.set_lit(tree, is_lit(collection))


def show_full(collection: Any, full: bool) -> None:
    """Let an imported mosaic show its bitmaps in full size, or reduced.

    Raises:
        SmaltiError: a bitmap cannot be read; then nothing has changed.
    """
    found = [each for each in _materials(collection) if materials.REDUCED in each.node_tree.nodes]
    images: dict[Path, Any] = {}
    try:
        for path in map(_bitmap_of, found if full else ()):
            if path not in images:
                images[path] = materials.load_image(path, materials.COLOUR_SPACE[collection[imported.BLEND_SPACE]])
                imported.mark(images[path], collection[imported.JOB])
    except RuntimeError as fault:
        bpy.data.batch_remove(list(images.values()))
        raise SmaltiError(
            f"{path}: Blender cannot read this bitmap.", "Copy the whole job folder.", "bad_file"
        ) from fault
    for material in found:
        with edits.own_change(material):
            materials.show_bitmap(material, images[_bitmap_of(material)] if full else None)
    collection[imported.REDUCED] = not full


def _is_of(item: Any, collection: Any) -> bool:
    return bool(item.get(imported.JOB) == collection[imported.JOB])


def _materials(collection: Any) -> list[Any]:
    return [each for each in bpy.data.materials if _is_of(each, collection)]


def _trees(collection: Any) -> list[tuple[Any, Any]]:
    """The node groups and materials of a mosaic, with their trees."""
    groups = [(group, group) for group in bpy.data.node_groups if _is_of(group, collection)]
    return groups + [(each, each.node_tree) for each in _materials(collection)]


def _bitmap_of(material: Any) -> Path:
    """The file of the bitmap that a material shows reduced, which lies in a folder beside that of its sheet."""
    sheet = material.node_tree.nodes[materials.SHEET].image
    folder = Path(bpy.path.abspath(sheet.filepath)).parent.parent
    return folder / str(material[materials.FILE])


class SMALTI_OT_bitmap_size(bpy.types.Operator):
    """Show the bitmaps in full size, for a camera that comes close, or reduced, as in Smalti's picture"""

    bl_idname = "smalti.bitmap_size"
    bl_label = "Use Full Bitmaps"
    bl_options = {'REGISTER', 'UNDO'}

    full: BoolProperty(name="Full Size", default=True)
    collection: StringProperty(options={'HIDDEN', 'SKIP_SAVE'})

    def execute(self, context: Any) -> set[str]:
        collection = bpy.data.collections.get(self.collection)
        if collection is None or imported.JOB not in collection:
            return {'CANCELLED'}
        try:
            show_full(collection, self.full)
        except SmaltiError as fault:
            return notices.failed(self, fault)
        return {'FINISHED'}


def draw(layout: Any, collection: Any) -> None:
    """The choices for an imported mosaic."""
    layout.row().prop(collection, "smalti_surface", expand=True)
    reduced = collection.get(imported.REDUCED)
    if reduced is not None:
        text = "Use Full Bitmaps" if reduced else "Use Reduced Bitmaps"
        button = layout.operator(SMALTI_OT_bitmap_size.bl_idname, text=text, icon='TEXTURE')
        button.full, button.collection = bool(reduced), collection.name


def _changed(collection: Any, _context: Any) -> None:
    if imported.JOB in collection:
        apply(collection)


def register() -> None:
    """Add the operator, and a property to collections."""
    bpy.utils.register_class(SMALTI_OT_bitmap_size)
    bpy.types.Collection.smalti_surface = EnumProperty(
        name="Surface", description="What the layers are made of", items=SURFACES, update=_changed
    )


def unregister() -> None:
    """Take them away."""
    del bpy.types.Collection.smalti_surface
    bpy.utils.unregister_class(SMALTI_OT_bitmap_size)
