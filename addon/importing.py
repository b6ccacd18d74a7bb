# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing a composition into a scene: its collection, materials, background, camera, and the sprites in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bpy
import numpy as np

from . import (
    cameras,
    earlier,
    edits,
    fewer_keys,
    imported,
    instances,
    layers,
    materials,
    meshes,
    root,
    shading,
    surfaces,
)
from . import composition as compositions
from .composition import Composition
from .earlier import Earlier
from .fewer_keys import Keys
from .homes import Homes
from .imported import mark
from .shading import Shading


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
        keep_changes: layers of an earlier import that the artist changed stay as they are, and those that were deleted
            are not made again; without it, all are replaced.
        group: what the layers of each collection have in common; empty for one collection with all.
        mosaic: all sprites are one object with geometry nodes; otherwise each is an object.
        cut: whether meshes are cut along the outlines of bitmaps, instead of squares.
        lit: whether it takes light; None leaves that as it was chosen for an earlier import.
        key_tolerance: how far sprites of a film may be off, see `fewer_keys`; 0 for keys in every frame.
    """

    longer_side: float = 2.0
    camera: bool = False
    upright: bool = True
    first_frame: float = 1.0
    frame_step: float = 1.0
    keep_changes: bool = True
    group: Literal["", "bitmap", "region"] = ""
    mosaic: bool = False
    cut: bool = False
    lit: bool | None = None
    key_tolerance: float = 0.0


@dataclass(frozen=True)
class Built:
    """What an import made. `root`: the Empty that holds all of it."""

    collection: Any
    root: Any
    sprites: int
    keys: int


def build(scene: Any, composition: Composition, options: Options) -> Built:
    """Add the composition to `scene`, or bring what an earlier import of the same job made up to date.

    Every file is read before the scene is touched. What the artist added to the collection stays, and so do the Empty
    and the camera where they were put.

    Raises:
        SmaltiError: Blender cannot read one of the pictures.
    """
    header, folder = composition.header, composition.folder
    images = shading.read(composition)
    imported.know(folder, header.id)
    collection = imported.find_collection(scene, folder)
    if collection is None:
        collection = bpy.data.collections.new(composition.name)
        scene.collection.children.link(collection)
    old = imported.data_of(folder)
    standing = earlier.find(collection)
    if not options.keep_changes:
        standing = earlier.without_changes(standing)
    earlier.remove(_unwritten(collection))
    imported.set_aside(old)
    mark(collection, folder)
    collection[imported.BLEND_SPACE] = header.blend_space
    collection[imported.CANVAS] = [header.width, header.height]
    collection[imported.TRANSPARENT] = header.background == "transparent"
    used = set(composition.arrays["template"].tolist())
    collection.pop(imported.REDUCED, None)
    if all(composition.sheets[index] is not None for index in used):
        collection[imported.REDUCED] = True
    collection[imported.DEPTH] = compositions.deepest_stack(composition) + (header.background != "transparent")

    source: materials.Source = "instancer" if options.mosaic else "object"
    edited = edits.edited(old) if options.keep_changes else {}
    shades = shading.make(composition, images, options.longer_side, source, options.cut, edited)
    if options.lit is not None:
        collection.smalti_surface = surfaces.SURFACES[int(options.lit)][0]
    surfaces.apply(collection)
    keyed = _keyed(composition, options)
    background, row = _background(composition, options.longer_side, shades.background, standing)
    make = _mosaic if options.mosaic else _layers
    sprites, rows, written = make(composition, keyed, shades, options, collection, standing)
    earlier.remember(collection, np.concatenate((row[None], rows)))

    top = float(keyed.placed.height[-1])
    size = (*compositions.size(header, options.longer_side), top)
    holder = root.of(collection) or root.make(scene, collection, size, options.upright)
    wanted = options.camera or cameras.find(collection) is not None
    camera = cameras.add(composition, collection, options.longer_side, top) if wanted else None
    homes = Homes(collection, _groups(composition, options.group))
    for item in filter(None, (background, *sprites, camera)):
        # Another parent is the artist's; that of an earlier import was deleted from the scene.
        if item.parent is None or root.SIZE in item.parent:
            item.parent = holder
        homes.put(item)
    homes.tidy()
    imported.remove_unused(old)
    if options.camera and scene.camera is None:
        scene.camera = camera
    return Built(collection, holder, header.sprites if options.mosaic else len(sprites), written)


def changes_in(collection: Any) -> str:
    """What the artist has changed of an import, in words; empty where nothing."""
    count = len(edits.edited(imported.data_of(Path(collection[imported.JOB]))))
    materials_too = f"{count} {'material was' if count == 1 else 'materials were'} edited" if count else ""
    return "; ".join(filter(None, (earlier.find(collection).summary, materials_too)))


def _keyed(composition: Composition, options: Options) -> Keys:
    """The sprites in Blender's units, and what of them is keyed."""
    placed = compositions.placed(composition, options.longer_side)
    unit = compositions.unit(composition.header, options.longer_side)
    return fewer_keys.fewer_keys(placed, options.key_tolerance, unit, composition.header.blend_space)


def _layers(
    composition: Composition, keyed: Keys, shades: Shading, options: Options, collection: Any, standing: Earlier
) -> tuple[list[Any], Any, int]:
    """An object for each sprite; what each is given, float32 [N, 13]; and the number of keys."""
    header = composition.header
    mosaic = instances.find(collection)
    if mosaic is not None:
        instances.retire(mosaic)
    frames = options.first_frame + options.frame_step * np.arange(header.frames)
    sprites, written = layers.make(composition, keyed, shades, frames, standing)
    earlier.remove(
        item for rank, item in standing.objects.items() if rank > header.sprites and rank not in standing.changed
    )
    return sprites, layers.rows_of(keyed.placed), written


def _mosaic(
    composition: Composition, keyed: Keys, shades: Shading, options: Options, collection: Any, standing: Earlier
) -> tuple[list[Any], Any, int]:
    """As `_layers`, but one object, which is not compared with anything at the next import."""
    placed = keyed.placed
    points = instances.points_of(composition, placed, shades.mesh_of_sprite, options.first_frame, options.frame_step)
    quads = [instances.Quad(mesh, mesh.materials[0]) for mesh in shades.meshes]
    made = instances.make(composition.name, points, quads, composition.folder, instances.find(collection))
    made[instances.FEW_KEYS] = options.key_tolerance > 0
    collection[imported.MOSAIC] = made
    collection.pop(imported.LAYERS_WRITTEN, None)
    earlier.remove(item for rank, item in standing.objects.items() if rank)
    keys = 0 if composition.header.frames == 1 else int(placed.rotation.size)
    return [made], np.zeros((0, earlier.WIDTH), np.float32), keys


def _groups(composition: Composition, by: str) -> list[str] | None:
    """The name of each sprite's group, bottom first; empty for those of no region."""
    if not by:
        return None
    names = [each.name if by == "bitmap" else each.region for each in composition.header.templates]
    return [names[index] for index in composition.arrays["template"].tolist()]


def _unwritten(collection: Any) -> list[Any]:
    """The layers of an import by a version that did not write down what it gave to them."""
    if earlier.WRITTEN in collection:
        return []
    return [item for item in collection.objects if item.type == 'MESH' and imported.JOB in item.data]


def _background(
    composition: Composition, longer_side: float, material: Any | None, standing: Earlier
) -> tuple[Any | None, Any]:
    """The background's plane, at height 0, or None where there is none; and what it is given, float32 [13]."""
    header, name = composition.header, f"{composition.name} Background"
    row = np.zeros(earlier.WIDTH, np.float32)
    plane = standing.objects.get(0)
    if material is None or 0 in standing.deleted:
        if plane is not None and 0 not in standing.changed:
            earlier.remove([plane])
        return None, row
    width, height = compositions.size(header, longer_side)
    colour = compositions.numbers(header.background, header.blend_space) if header.background[0] == "#" else (1, 1, 1)
    row[6:] = (width / 2, height / 2, 1, *colour, 1)
    mesh = mark(meshes.square(name, material), composition.folder)
    if plane is None:
        plane = bpy.data.objects.new(name, mesh)
        plane[earlier.RANK] = 0
    elif 0 in standing.changed:
        return plane, row
    plane.data, plane.scale, plane.color = mesh, row[6:9].tolist(), row[9:].tolist()
    return plane, row
