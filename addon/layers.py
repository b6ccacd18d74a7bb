# SPDX-License-Identifier: GPL-3.0-or-later
"""Building a composition as Blender layers: one object per sprite, all of them on one shared quad.

Everything that an import makes lies in one collection, and its mesh, materials and pictures carry the job's folder as a
property, so that the next import of the same job takes exactly them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import composition as compositions
from . import keys, materials, root
from .bridge.errors import SmaltiError
from .composition import Composition

JOB = "smalti_job"  # on data: the job folder that it was made from
BLEND_SPACE = "smalti_blend_space"  # on the collection, like all below
CANVAS = "smalti_canvas"
TRANSPARENT = "smalti_transparent"
DEPTH = "smalti_depth"

_QUAD = ((-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0))
_UV = (0, 0, 1, 0, 1, 1, 0, 1)


@dataclass(frozen=True)
class Options:
    """How to import.

    Attributes:
        longer_side: the canvas's longer side in Blender units.
        camera: add an orthographic camera that sees exactly the canvas; it becomes the scene's where that has none.
        upright: it stands on the 3D cursor; otherwise it lies there, face up. One that was imported before stays where
            it is.
        first_frame: the scene frame of the composition's first.
        frame_step: scene frames from one frame of the composition to the next.
    """

    longer_side: float = 2.0
    camera: bool = False
    upright: bool = True
    first_frame: float = 1.0
    frame_step: float = 1.0


@dataclass(frozen=True)
class Built:
    """What an import made. `root`: the Empty that holds all of it."""

    collection: Any
    root: Any
    sprites: int
    keys: int


def find_collection(scene: Any, folder: Path) -> Any | None:
    """The collection of `scene` that holds the layers of the job `folder`, or None."""
    return next((c for c in scene.collection.children_recursive if c.get(JOB) == str(folder)), None)


def imported_collections(scene: Any) -> list[Any]:
    """All collections of `scene` that hold layers."""
    return [c for c in scene.collection.children_recursive if JOB in c]


def _remove_layers(collection: Any, folder: Path) -> None:
    """Take away what an earlier import of this job made; the artist's own objects in the collection stay."""
    mine = [o for o in collection.objects if o.data is not None and o.data.get(JOB) == str(folder)]
    actions = {o.animation_data.action for o in mine if o.animation_data and o.animation_data.action}
    bpy.data.batch_remove(mine)
    bpy.data.batch_remove([action for action in actions if action.users == 0])
    for group in (bpy.data.meshes, bpy.data.cameras, bpy.data.materials, bpy.data.node_groups, bpy.data.images):
        bpy.data.batch_remove([item for item in group if item.users == 0 and item.get(JOB) == str(folder)])


def _mark(item: Any, folder: Path) -> Any:
    item[JOB] = str(folder)
    return item


def _quad(name: str, material: Any) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(_QUAD, [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", _UV)
    mesh.materials.append(material)
    return mesh


def _image(path: Path, space: Any) -> Any:
    try:
        return materials.load_image(path, space)
    except RuntimeError as fault:
        raise SmaltiError(f"{path}: Blender cannot read this picture.", "Fit the job again.", "bad_file") from fault


def _background(composition: Composition, longer_side: float, images: dict[str, Any]) -> Any | None:
    """The background's plane, at height 0, or None for a transparent background."""
    header, name = composition.header, f"{composition.name} Background"
    if header.background == "transparent":
        return None
    material = _mark(materials.background_material(name, images.get(header.background)), composition.folder)
    plane = bpy.data.objects.new(name, _mark(_quad(name, material), composition.folder))
    width, height = compositions.size(header, longer_side)
    plane.scale = (width / 2, height / 2, 1)
    if header.background.startswith("#"):
        plane.color = (*compositions.numbers(header.background, header.blend_space), 1)
    return plane


def _camera(composition: Composition, longer_side: float, top: float) -> Any:
    """An orthographic camera that looks straight down and sees exactly the canvas."""
    name = f"{composition.name} Camera"
    data = _mark(bpy.data.cameras.new(name), composition.folder)
    data.type, data.ortho_scale = 'ORTHO', longer_side
    data.passepartout_alpha = 1.0  # sprites reach over the edge of the canvas, and are not part of the picture there
    data.clip_start, data.clip_end = longer_side / 100, top + 2 * longer_side
    camera = bpy.data.objects.new(name, data)
    camera.location.z = top + longer_side
    return camera


def _channels(layers: compositions.Layers) -> list[tuple[str, int, Any]]:
    """Data path, array index and values [F, N] of everything that may be keyed."""
    found = [("location", axis, layers.location[..., axis]) for axis in (0, 1)]
    found.append(("rotation_euler", 2, layers.rotation))
    found += [("scale", axis, layers.scale[..., axis]) for axis in (0, 1)]
    found += [("color", channel, layers.colour[..., channel]) for channel in range(4)]
    return found


def build(scene: Any, composition: Composition, options: Options) -> Built:
    """Add the composition to `scene`, in place of what an earlier import of the same job made.

    Every file is read before the scene is touched.

    Raises:
        SmaltiError: Blender cannot read one of the pictures.
    """
    header, folder = composition.header, composition.folder
    files = [template.file for template in header.templates]
    if header.background != "transparent" and not header.background.startswith("#"):
        files.append(header.background)
    images: dict[str, Any] = {}
    try:
        for file in files:
            images[file] = _image(folder / file, header.blend_space)
    except SmaltiError:
        bpy.data.batch_remove(list(images.values()))
        raise

    collection = find_collection(scene, folder)
    if collection is None:
        collection = bpy.data.collections.new(composition.name)
        scene.collection.children.link(collection)
    else:
        _remove_layers(collection, folder)
    for item in (collection, *images.values()):
        _mark(item, folder)
    collection[BLEND_SPACE] = header.blend_space
    collection[CANVAS] = [header.width, header.height]
    collection[TRANSPARENT] = header.background == "transparent"
    collection[DEPTH] = compositions.deepest_stack(composition) + (header.background != "transparent")

    group = _mark(materials.sprite_group(f"{composition.name} Sprite", header.colour_mix, header.shade), folder)
    shades = [
        _mark(
            materials.sprite_material(
                f"{composition.name} {template.name}",
                images[template.file],
                group,
                template.luma if header.shade else None,
            ),
            folder,
        )
        for template in header.templates
    ]
    background = _background(composition, options.longer_side, images)
    layers = compositions.layers(composition, options.longer_side)
    sprites, written = _sprites(
        composition, layers, _mark(_quad(f"{composition.name} Quad", shades[0]), folder), shades, options
    )
    size = (*compositions.size(header, options.longer_side), float(layers.height[-1]))
    holder = root.of(collection) or root.make(scene, collection, size, options.upright)
    camera = _camera(composition, options.longer_side, float(layers.height[-1])) if options.camera else None
    for item in filter(None, (background, *sprites, camera)):
        item.parent = holder
        collection.objects.link(item)
    if camera is not None and scene.camera is None:
        scene.camera = camera
    return Built(collection, holder, len(sprites), written)


def _sprites(
    composition: Composition, layers: compositions.Layers, quad: Any, shades: list[Any], options: Options
) -> tuple[list[Any], int]:
    """One object per sprite, bottom first, with its keys; returns the objects and the number of keys."""
    header = composition.header
    digits = len(str(header.sprites))
    location = np.concatenate((layers.location[0], layers.height[:, None]), -1).tolist()
    rotation, scale, colour = layers.rotation[0].tolist(), layers.scale[0].tolist(), layers.colour[0].tolist()
    sprites = []
    for k, index in enumerate(composition.arrays["template"].tolist()):
        sprite = bpy.data.objects.new(f"{k + 1:0{digits}d} {header.templates[index].name}", quad)
        if index:
            slot = sprite.material_slots[0]
            slot.link, slot.material = 'OBJECT', shades[index]
        sprite.location, sprite.rotation_euler = location[k], (0, 0, rotation[k])
        sprite.scale, sprite.color = (*scale[k], 1), colour[k]
        sprites.append(sprite)
    if header.frames == 1:
        return sprites, 0

    channels = [
        (path, index, np.ascontiguousarray(values.T), keys.changing(values))
        for path, index, values in _channels(layers)
    ]
    frames = options.first_frame + options.frame_step * np.arange(header.frames)
    written = 0
    for k, sprite in enumerate(sprites):
        own = [(path, index, values[k]) for path, index, values, changes in channels if changes[k]]
        written += keys.write_curves(sprite, own, frames)
    return sprites, written
