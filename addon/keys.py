# SPDX-License-Identifier: GPL-3.0-or-later
"""Key frames in bulk: whole F-curves from arrays."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, earlier

CONSTANT, LINEAR = 0, 1  # the numbers of these among Blender's key interpolations, as foreach_set wants them


def write_curves(item: Any, channels: list[tuple[str, int, Any, Any]]) -> int:
    """Write one F-curve per channel of an object, in place of those that it has.

    Args:
        item: the object.
        channels: data path, array index, the keys [K, 2], float32, each a scene frame and a value, frames rising, and
            their interpolations [K], int32.

    Returns:
        the number of keys written.
    """
    if not channels:
        clear(item)
        return 0
    curves = compat.curves_for(item, item.name)
    there = {(curve.data_path, curve.array_index): curve for curve in curves}
    for path, index, points, interpolation in channels:
        curve = there.pop((path, index), None) or curves.new(path, index=index)
        if len(curve.keyframe_points) != len(points):
            curve.keyframe_points.clear()
            curve.keyframe_points.add(len(points))
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", interpolation)
        curve.update()
    for curve in there.values():
        curves.remove(curve)
    item.animation_data.action[earlier.KEYS] = earlier.checksum(curves)
    return sum(len(points) for _, _, points, _ in channels)


def clear(item: Any) -> None:
    """Take an object's keys away."""
    if item.animation_data is not None:
        action = item.animation_data.action
        item.animation_data_clear()
        if action is not None and action.users == 0:
            bpy.data.actions.remove(action)
