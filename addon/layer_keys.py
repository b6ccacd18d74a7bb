# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading layers as they are now: their places and colors, and their keys at common frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from mathutils import Matrix

from . import compat, earlier
from .keys import CONSTANT, LINEAR

PLACE, TURN, SCALE, COLOR = (slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 13))
"""Columns of the values of a layer, in the order of `earlier.VALUES`."""
_FIRST = {"location": 0, "rotation_euler": 3, "scale": 6, "color": 9}
_CARRIED = {0, 1, 5, 6, 7, 9, 10, 11, 12}  # columns whose keys a mosaic has: not those out of the plane
_CLOSE = 1e-3  # frames
_LEAST_STEP = 0.25  # frames


@dataclass(frozen=True)
class Read:
    """The layers of sprites.

    Attributes:
        layers: the objects, copies that the artist made among them.
        values: [F, N, 13] in the order of `earlier.VALUES`.
        place: the matrix of all of them in what holds them.
        first, step: the scene frame of the first of F, and from one to the next.
        few: whether some have fewer keys than F.
        left: the number of layers with something that these values do not say: modifiers, constraints, other keys.
    """

    layers: list[Any]
    values: Any
    place: Any
    first: float
    step: float
    few: bool
    left: int


class _Curve(NamedTuple):
    """An F-curve of a layer: whose it is, the column of its values, and its keys.

    `straight`: whether there are but straight lines between its keys, and steps where `steps` says so.
    """

    layer: int
    column: int
    curve: Any
    frames: Any
    values: Any
    steps: Any
    straight: bool


def read(collection: Any, holder: Any | None) -> Read:
    """Read the layers of an imported collection and those in it. `holder`: its Empty."""
    items, rows = earlier.values_inside(collection)
    chosen = [k for k, item in enumerate(items) if item.get(earlier.RANK, 0) > 0]
    layers, rows = [items[k] for k in chosen], rows[chosen]
    place = next((item.matrix_parent_inverse.copy() for item in layers if item.parent == holder), Matrix())
    curves: list[_Curve] = []
    left = set()
    for k, item in enumerate(layers):
        apart = item.parent != holder or item.matrix_parent_inverse != place
        if apart or item.rotation_mode != 'XYZ':
            matrix = place.inverted_safe() @ _within(holder, item) if apart else item.matrix_basis
            rows[k, :9] = [*matrix.translation, *matrix.to_euler(), *matrix.to_scale()]
        animation = item.animation_data
        if animation is not None and animation.action is not None and not apart:
            found = [_curve(k, curve) for curve in compat.curves_of(item)]
            curves += [each for each in found if each.column in _CARRIED]
            animated_else = len(animation.drivers) or any(each.column not in _CARRIED for each in found)
        else:
            animated_else = animation is not None
        if animated_else or item.modifiers or item.constraints:
            left.add(k)
    grid = _grid(curves)
    values = np.repeat(rows[None], len(grid), 0)
    for each in curves:
        values[:, each.layer, each.column] = _at(each, grid)
    few = any(len(each.frames) < len(grid) for each in curves)
    step = float(grid[1] - grid[0]) if len(grid) > 1 else 1.0
    return Read(layers, values, place, float(grid[0]), step, few, len(left))


def _within(holder: Any | None, item: Any) -> Any:
    return item.matrix_world if holder is None else holder.matrix_world.inverted_safe() @ item.matrix_world


def _curve(layer: int, curve: Any) -> _Curve:
    count = len(curve.keyframe_points)
    keys, kinds = np.empty(2 * count, np.float32), np.empty(count, np.int32)
    curve.keyframe_points.foreach_get("co", keys)
    curve.keyframe_points.foreach_get("interpolation", kinds)
    column = _FIRST.get(curve.data_path, -100) + curve.array_index
    steps = kinds == CONSTANT
    straight = count > 0 and bool((steps | (kinds == LINEAR)).all()) and not curve.modifiers
    return _Curve(layer, column, curve, keys[::2], keys[1::2], steps, straight)


def _grid(curves: list[_Curve]) -> Any:
    """Frames, evenly apart, at which the straight lines between keys are those of all curves."""
    if not curves:
        return np.ones(1)
    frames = np.unique(np.concatenate([each.frames for each in curves]))
    if len(frames) == 1:
        return frames
    straight = all(each.straight for each in curves)
    steps = np.diff(frames)
    if np.ptp(steps) < _CLOSE and straight:
        return frames
    # The longest step of which all distances are multiples.
    step = float(np.gcd.reduce(np.rint(steps / _CLOSE).astype(int))) * _CLOSE
    if step < _LEAST_STEP or not straight:
        step = min(1.0, step) if step >= _LEAST_STEP else 1.0
    count = round(float(frames[-1] - frames[0]) / step)
    return np.linspace(frames[0], frames[-1], count + 1)


def _at(each: _Curve, grid: Any) -> Any:
    """The values of a curve at frames."""
    if not each.straight:
        return [each.curve.evaluate(frame) for frame in grid.tolist()]
    if len(each.frames) == len(grid) and np.abs(each.frames - grid).max() < _CLOSE:
        return each.values
    values = np.interp(grid, each.frames, each.values)
    if each.steps.any():
        before = np.searchsorted(each.frames, grid + _CLOSE, side="right") - 1
        stands = (before >= 0) & (before < len(each.frames) - 1) & each.steps[before]
        values[stands] = each.values[before[stands]]
    return values
