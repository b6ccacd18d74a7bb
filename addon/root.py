# SPDX-License-Identifier: GPL-3.0-or-later
"""The Empty that holds an imported mosaic: it moves, turns and scales all of it, and says how deep it is."""

from __future__ import annotations

from math import pi
from typing import Any

import bpy
from mathutils import Vector

ROOT = "smalti_root"  # on the Empty: the job folder
UPRIGHT = (pi / 2, 0.0, 0.0)
GAP = 0.1  # between a mosaic and what it is put in front of, of its longer side


def of(collection: Any) -> Any | None:
    """The Empty of an imported collection; None where it was deleted, or is of an earlier version."""
    return next((each for each in collection.objects if each.type == 'EMPTY' and ROOT in each), None)


def make(scene: Any, name: str, size: tuple[float, float], upright: bool) -> Any:
    """The Empty of a mosaic of `size` (width and height in Blender units), where it is to stand or lie; not linked yet.

    It stands on the 3D cursor, in front of what would cut it; or it lies there, face up.
    """
    empty = bpy.data.objects.new(name, None)
    empty.empty_display_type, empty.empty_display_size = 'PLAIN_AXES', 0.25 * max(size)
    empty[ROOT] = True
    where = scene.cursor.location.copy()
    if upright:
        empty.rotation_euler = UPRIGHT
        where += Vector((0.0, 0.0, 0.5 * size[1]))
        where.y = min(where.y, _front(scene, where, size) - GAP * max(size))
    empty.location = where
    return empty


def _front(scene: Any, where: Any, size: tuple[float, float]) -> float:
    """The y in front of every object that an upright mosaic about `where` would cut; infinite where there is none."""
    front = float("inf")
    for each in scene.objects:
        if each.type in {'CAMERA', 'LIGHT', 'EMPTY'} or (each.parent is not None and ROOT in each.parent):
            continue
        corners = [each.matrix_world @ Vector(corner) for corner in each.bound_box]
        low = [min(corner[axis] for corner in corners) for axis in range(3)]
        high = [max(corner[axis] for corner in corners) for axis in range(3)]
        beside = abs(where.x - 0.5 * (low[0] + high[0])) > 0.5 * (size[0] + high[0] - low[0])
        above = abs(where.z - 0.5 * (low[2] + high[2])) > 0.5 * (size[1] + high[2] - low[2])
        if not (beside or above) and low[1] <= where.y <= high[1]:
            front = min(front, low[1])
    return front
