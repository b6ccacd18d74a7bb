# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing a composition into a scene: its collection, materials, background, camera, and the sprites in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import composition as compositions
from . import imported, layers, root, shading
from .composition import Composition
from .imported import mark


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


def _background(composition: Composition, longer_side: float, material: Any | None) -> Any | None:
    """The background's plane, at height 0, or None for a transparent background."""
    header, name = composition.header, f"{composition.name} Background"
    if material is None:
        return None
    plane = bpy.data.objects.new(name, mark(layers.quad(name, material), composition.folder))
    width, height = compositions.size(header, longer_side)
    plane.scale = (width / 2, height / 2, 1)
    if header.background.startswith("#"):
        plane.color = (*compositions.numbers(header.background, header.blend_space), 1)
    return plane


def _camera(composition: Composition, longer_side: float, top: float) -> Any:
    """An orthographic camera that looks straight down and sees exactly the canvas."""
    name = f"{composition.name} Camera"
    data = mark(bpy.data.cameras.new(name), composition.folder)
    data.type, data.ortho_scale = 'ORTHO', longer_side
    data.passepartout_alpha = 1.0  # sprites reach over the edge of the canvas, and are not part of the picture there
    data.clip_start, data.clip_end = longer_side / 100, top + 2 * longer_side
    camera = bpy.data.objects.new(name, data)
    camera.location.z = top + longer_side
    return camera


def build(scene: Any, composition: Composition, options: Options) -> Built:
    """Add the composition to `scene`, in place of what an earlier import of the same job made.

    Every file is read before the scene is touched.

    Raises:
        SmaltiError: Blender cannot read one of the pictures.
    """
    header, folder = composition.header, composition.folder
    images = shading.read(composition)
    collection = imported.find_collection(scene, folder)
    if collection is None:
        collection = bpy.data.collections.new(composition.name)
        scene.collection.children.link(collection)
    else:
        imported.remove_layers(collection, folder)
    mark(collection, folder)
    collection[imported.BLEND_SPACE] = header.blend_space
    collection[imported.CANVAS] = [header.width, header.height]
    collection[imported.TRANSPARENT] = header.background == "transparent"
    collection[imported.DEPTH] = compositions.deepest_stack(composition) + (header.background != "transparent")

    shades = shading.make(composition, images)
    background = _background(composition, options.longer_side, shades.background)
    placed = compositions.placed(composition, options.longer_side)
    frames = options.first_frame + options.frame_step * np.arange(header.frames)
    sprites, written = layers.make(composition, placed, shades, frames)
    top = float(placed.height[-1])
    size = (*compositions.size(header, options.longer_side), top)
    holder = root.of(collection) or root.make(scene, collection, size, options.upright)
    camera = _camera(composition, options.longer_side, top) if options.camera else None
    for item in filter(None, (background, *sprites, camera)):
        item.parent = holder
        collection.objects.link(item)
    if camera is not None and scene.camera is None:
        scene.camera = camera
    return Built(collection, holder, len(sprites), written)
