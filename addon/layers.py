# SPDX-License-Identifier: GPL-3.0-or-later
"""The sprites of a composition as objects, one for each, those of one bitmap on one shared mesh."""

from __future__ import annotations

import re
from typing import Any

import bpy
import numpy as np

from . import composition as compositions
from . import earlier, keys
from .composition import Composition
from .earlier import Earlier
from .fewer_keys import Keys
from .imported import JOB
from .shading import TEMPLATE, Shading


def _channels(placed: compositions.Placed) -> list[tuple[str, int, Any]]:
    """Data path, array index and values [F, N] of everything that may be keyed."""
    found = [("location", axis, placed.location[..., axis]) for axis in (0, 1)]
    found.append(("rotation_euler", 2, placed.rotation))
    found += [("scale", axis, placed.scale[..., axis]) for axis in (0, 1)]
    found += [("color", channel, placed.colour[..., channel]) for channel in range(4)]
    return found


def rows_of(placed: compositions.Placed) -> Any:
    """What each layer is given, float32 [N, 13] in the order of `earlier.VALUES`."""
    count = len(placed.height)
    rows = np.zeros((count, earlier.WIDTH), np.float32)
    rows[:, 0:2], rows[:, 2], rows[:, 5] = placed.location[0], placed.height, placed.rotation[0]
    rows[:, 6:8], rows[:, 8], rows[:, 9:] = placed.scale[0], 1, placed.colour[0]
    return rows


def make(
    composition: Composition, keyed: Keys, shades: Shading, frames: Any, standing: Earlier
) -> tuple[list[Any], int]:
    """Make one object per sprite, bottom first, with its keys; or bring those up to date that stand already.

    Args:
        composition: what to make.
        keyed: its sprites in Blender's units, and what of them is keyed.
        shades: its materials.
        frames: the scene frame of each frame, rising.
        standing: layers of an earlier import. Those that were changed get materials alone, and those that were deleted
            are not made again.

    Returns:
        All objects, of which new ones are in no collection yet, and the number of keys.
    """
    header = composition.header
    digits = len(str(header.sprites))
    rows = rows_of(keyed.placed)
    location, rotation = rows[:, 0:3].tolist(), rows[:, 3:6].tolist()
    scale, colour = rows[:, 6:9].tolist(), rows[:, 9:].tolist()
    sprites, fresh = [], []
    for k, (template, own) in enumerate(zip(composition.arrays["template"].tolist(), shades.mesh_of_sprite.tolist())):
        rank, mesh = k + 1, shades.meshes[own]
        if rank in standing.deleted:
            continue
        sprite = standing.objects.get(rank)
        if sprite is None:
            sprite = bpy.data.objects.new(f"{rank:0{digits}d} {header.templates[template].name}", mesh)
            sprite[earlier.RANK] = rank
        sprites.append(sprite)
        if rank in standing.changed:
            _dress_changed(sprite, mesh)
            continue
        if rank in standing.objects:
            name = f"{rank:0{digits}d} {header.templates[template].name}"
            _refresh(sprite, name, mesh, still=header.frames == 1)
        sprite.location, sprite.rotation_euler = location[k], rotation[k]
        sprite.scale, sprite.color = scale[k], colour[k]
        fresh.append((k, sprite))
    return sprites, write_keys(keyed, fresh, frames) if header.frames > 1 else 0


def _refresh(sprite: Any, name: str, mesh: Any, still: bool) -> None:
    """Make an object that stands already like a new one, but for what an import says nothing of."""
    if still:
        keys.clear(sprite)
    sprite.data = mesh
    sprite.material_slots[0].link = 'DATA'
    # Another name is the artist's.
    if sprite.name != name and re.match(r"\d+ ", sprite.name):
        sprite.name = name


def _dress_changed(sprite: Any, mesh: Any) -> None:
    """Give an object that the artist changed the new mesh and its material, where it has those of an earlier import."""
    worn = sprite.active_material
    if worn is None or JOB not in worn or JOB not in sprite.data:
        return
    sprite.data = mesh
    slot = sprite.material_slots[0]
    if worn.get(TEMPLATE) == mesh.materials[0][TEMPLATE]:
        slot.link = 'DATA'
    else:
        slot.link, slot.material = 'OBJECT', worn


def write_keys(keyed: Keys, sprites: list[tuple[int, Any]], frames: Any) -> int:
    """Write the keys of sprites, given with their indices; returns their number.

    Args:
        keyed: what is keyed, of all sprites.
        frames: the scene frame of each frame, rising.
    """
    shot = keyed.first.cumsum()
    channels = []
    for (path, index, values), (_, _, kept) in zip(_channels(keyed.placed), _channels(keyed.kept)):
        count = kept.sum(0)
        of_sprite, frame = kept.T.nonzero()
        points = np.stack((np.asarray(frames)[frame], values.T[of_sprite, frame]), 1).astype(np.float32)
        # On the way to another sprite's first key there is no line; what the last key of all says is never seen.
        ends = np.append((shot[frame[1:]] != shot[frame[:-1]]) & (of_sprite[1:] == of_sprite[:-1]), [False])[
            : len(frame)
        ]
        kinds = np.where(ends, keys.CONSTANT, keys.LINEAR).astype(np.int32)
        last = count.cumsum()
        channels.append((path, index, points, kinds, (last - count).tolist(), last.tolist()))
    written = 0
    for k, sprite in sprites:
        own = [
            (path, index, points[begin[k] : end[k]], kinds[begin[k] : end[k]])
            for path, index, points, kinds, begin, end in channels
            if begin[k] < end[k]
        ]
        written += keys.write_curves(sprite, own)
    return written
