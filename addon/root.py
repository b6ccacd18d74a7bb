# SPDX-License-Identifier: GPL-3.0-or-later
"""The Empty that holds an imported mosaic: it moves, turns and scales all of it, and says how deep it is."""

from __future__ import annotations

from math import pi
from typing import Any

import bpy
from mathutils import Vector

ROOT = "smalti_root"  # on the collection: its Empty
SIZE = "smalti_size"  # on the Empty: width, height and depth of what it holds, in its own units
UPRIGHT = (pi / 2, 0.0, 0.0)
GAP = 0.1  # between a mosaic and what it is put in front of, of its longer side


def of(collection: Any) -> Any | None:
    """The Empty of an imported collection; None where it was deleted, or is of an earlier version."""
    empty = collection.get(ROOT)
    # One that was deleted from the scene lives on as long as the collection names it.
    return empty if empty is not None and collection.objects.get(empty.name) == empty else None


def make(scene: Any, collection: Any, size: tuple[float, float, float], upright: bool) -> Any:
    """Add the Empty of a mosaic to its collection, where it is to stand or lie.

    It stands on the 3D cursor, in front of what would cut it; or it lies there, face up.

    Args:
        scene: where it will be.
        collection: of the mosaic, whose name it gets.
        size: width, height and depth in Blender units.
        upright: whether it stands.
    """
    empty = bpy.data.objects.new(collection.name, None)
    empty.empty_display_type, empty.empty_display_size = 'PLAIN_AXES', 0.25 * max(size)
    empty[SIZE] = size
    where = scene.cursor.location.copy()
    if upright:
        empty.rotation_euler = UPRIGHT
        where.z += 0.5 * size[1]
        where.y = min(where.y, _front(scene, where, size) - GAP * max(size))
    empty.location = where
    collection.objects.link(empty)
    collection[ROOT] = empty
    return empty


def place_of(empty: Any) -> Any:
    """Its matrix in the world, which Blender does not know of a new object before it has gone through the scene."""
    return empty.matrix_world if empty.parent else empty.matrix_basis


def reach_of(empty: Any) -> float:
    """Half of the longer side of what it holds, in the world's units."""
    scale = place_of(empty).to_scale()
    return 0.5 * max(float(side * abs(factor)) for side, factor in zip(empty[SIZE][:2], scale))


def _front(scene: Any, where: Any, size: tuple[float, float, float]) -> float:
    """The y in front of everything that an upright mosaic about `where` would cut; infinite where there is nothing."""
    width, height, depth = size
    low_here = where - Vector((0.5 * width, depth, 0.5 * height))
    high_here = where + Vector((0.5 * width, 0.0, 0.5 * height))
    front = float("inf")
    for each in scene.objects:
        if each.type in {'CAMERA', 'LIGHT'} or (each.parent is not None and SIZE in each.parent):
            continue
        if each.type == 'EMPTY' and SIZE not in each:
            continue
        corners = [place_of(each) @ Vector(corner) for corner in _corners(each)]
        low = [min(corner[axis] for corner in corners) for axis in range(3)]
        high = [max(corner[axis] for corner in corners) for axis in range(3)]
        if all(low[axis] <= high_here[axis] and low_here[axis] <= high[axis] for axis in range(3)):
            front = min(front, low[1])
    return front


def _corners(item: Any) -> list[tuple[float, float, float]]:
    """The corners of an object's box, or of the box of the mosaic that an Empty holds, in its own coordinates."""
    if item.type != 'EMPTY':
        return [tuple(corner) for corner in item.bound_box]
    width, height, depth = item[SIZE]
    return [(x * width, y * height, z * depth) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)]
