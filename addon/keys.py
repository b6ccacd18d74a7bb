# SPDX-License-Identifier: GPL-3.0-or-later
"""Key frames in bulk: whole F-curves from arrays."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import compat, earlier

LINEAR = 1  # the number of 'LINEAR' among Blender's key interpolations, as foreach_set wants it


def changing(values: Any) -> Any:
    """Which columns of `values` [frames, sprites] are not constant: bool [sprites]."""
    return (values != values[:1]).any(axis=0)


def write_curves(item: Any, channels: list[tuple[str, int, Any]], frames: Any) -> int:
    """Write one F-curve per channel of an object, in place of those that it has.

    Args:
        item: the object.
        channels: data path, array index, values [frames].
        frames: the scene frame of each value, rising.

    Returns:
        the number of keys written.
    """
    if not channels:
        clear(item)
        return 0
    curves = compat.curves_for(item, item.name)
    there = {(curve.data_path, curve.array_index): curve for curve in curves}
    points = np.empty((len(frames), 2), np.float32)
    points[:, 0] = frames
    interpolation = np.full(len(frames), LINEAR, np.int32)
    for path, index, values in channels:
        curve = there.pop((path, index), None) or curves.new(path, index=index)
        points[:, 1] = values
        if len(curve.keyframe_points) != len(frames):
            curve.keyframe_points.clear()
            curve.keyframe_points.add(len(frames))
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", interpolation)
        curve.update()
    for curve in there.values():
        curves.remove(curve)
    item.animation_data.action[earlier.KEYS] = earlier.checksum(curves)
    return len(channels) * len(frames)


def clear(item: Any) -> None:
    """Take an object's keys away."""
    if item.animation_data is not None:
        action = item.animation_data.action
        item.animation_data_clear()
        if action is not None and action.users == 0:
            bpy.data.actions.remove(action)
