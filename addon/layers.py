# SPDX-License-Identifier: GPL-3.0-or-later
"""The sprites of a composition as objects, one for each, all of them on one shared quad."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import composition as compositions
from . import keys
from .composition import Composition
from .imported import mark
from .shading import Shading

_QUAD = ((-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0))
_UV = (0, 0, 1, 0, 1, 1, 0, 1)


def quad(name: str, material: Any) -> Any:
    """A mesh of the square [-1, 1] in the XY plane, with its UV map."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(_QUAD, [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", _UV)
    mesh.materials.append(material)
    return mesh


def _channels(placed: compositions.Placed) -> list[tuple[str, int, Any]]:
    """Data path, array index and values [F, N] of everything that may be keyed."""
    found = [("location", axis, placed.location[..., axis]) for axis in (0, 1)]
    found.append(("rotation_euler", 2, placed.rotation))
    found += [("scale", axis, placed.scale[..., axis]) for axis in (0, 1)]
    found += [("color", channel, placed.colour[..., channel]) for channel in range(4)]
    return found


def make(composition: Composition, placed: compositions.Placed, shades: Shading, frames: Any) -> tuple[list[Any], int]:
    """Make one object per sprite, bottom first, with its keys.

    Args:
        composition: what to make.
        placed: its sprites in Blender's units.
        shades: its materials.
        frames: the scene frame of each frame, rising.

    Returns:
        The objects, not yet in any collection, and the number of keys.
    """
    header = composition.header
    digits = len(str(header.sprites))
    location = np.concatenate((placed.location[0], placed.height[:, None]), -1).tolist()
    rotation, scale, colour = placed.rotation[0].tolist(), placed.scale[0].tolist(), placed.colour[0].tolist()
    shared = mark(quad(f"{composition.name} Quad", shades.materials[0]), composition.folder)
    sprites = []
    for k, (template, shade) in enumerate(zip(composition.arrays["template"].tolist(), shades.of_sprite.tolist())):
        sprite = bpy.data.objects.new(f"{k + 1:0{digits}d} {header.templates[template].name}", shared)
        if shade:
            slot = sprite.material_slots[0]
            slot.link, slot.material = 'OBJECT', shades.materials[shade]
        sprite.location, sprite.rotation_euler = location[k], (0, 0, rotation[k])
        sprite.scale, sprite.color = (*scale[k], 1), colour[k]
        sprites.append(sprite)
    if header.frames == 1:
        return sprites, 0

    channels = [
        (path, index, np.ascontiguousarray(values.T), keys.changing(values))
        for path, index, values in _channels(placed)
    ]
    written = 0
    for k, sprite in enumerate(sprites):
        own = [(path, index, values[k]) for path, index, values, changes in channels if changes[k]]
        written += keys.write_curves(sprite, own, frames)
    return sprites, written
