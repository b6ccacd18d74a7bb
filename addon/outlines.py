# SPDX-License-Identifier: GPL-3.0-or-later
"""Outlines of bitmaps as polygons: where to cut a mesh so that nothing that can be seen is cut off.

Knows no Blender, only NumPy. A polygon goes around what it encloses with that to its left, x right and y up; so holes
go around the other way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CELLS = 128
"""Cells of the grid on which outlines are found, along the longer side of a bitmap."""
TOLERANCE = 1.0
"""Cells by which an outline may lie outside of what it encloses so that it has fewer corners."""


def outlines(alpha: Any) -> list[Any]:
    """The polygons about everything that bilinear interpolation of a bitmap shows.

    Args:
        alpha: [h, w], above 0 where the bitmap is not transparent, row 0 at the top.

    Returns:
        [n, 2] corners each, from 0 to 1 over the bitmap with y up; they may lie half a texel outside of it.
    """
    height, width = alpha.shape
    step = max(1, -(-max(height, width) // CELLS))
    shown = _separated(_cells(alpha > 0, step))
    texels = np.array([width, height])
    found = []
    for corners in _loops(np.pad(shown, 1)):
        kept = _simplified(corners)
        if len(kept) >= 3:
            place = ((kept - 1) * step - 0.5).clip(-0.5, texels - 0.5 + 1) / texels
            found.append(np.stack((place[:, 0], 1 - place[:, 1]), -1)[::-1])
    return found


def _cells(opaque: Any, step: int) -> Any:
    """Whether anything is shown in each cell: `step` squares a side, each between the middles of four texels."""
    padded = np.pad(opaque, 1)
    squares = padded[:-1, :-1] | padded[:-1, 1:] | padded[1:, :-1] | padded[1:, 1:]
    squares = np.pad(squares, [(0, -side % step) for side in squares.shape])
    rows, columns = (side // step for side in squares.shape)
    return squares.reshape(rows, step, columns, step).any((1, 3))


def _separated(cells: Any) -> Any:
    """With more cells, so that no two touch at a corner alone."""
    cells = cells.copy()
    while True:
        a, b, c, d = cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]
        falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
        if not (falling | rising).any():
            return cells
        cells[:-1, 1:] |= falling
        cells[:-1, :-1] |= rising


def _loops(cells: Any) -> list[Any]:
    """The corners [n, 2], x and y down, of the boundaries of cells that touch along edges, clockwise about cells."""
    following: dict[tuple[int, int], tuple[int, int]] = {}
    inside = cells.astype(np.int8)
    across, down = np.diff(inside, axis=0), np.diff(inside, axis=1)
    for row, column in np.argwhere(across > 0).tolist():  # an upper edge goes right
        following[column, row + 1] = (column + 1, row + 1)
    for row, column in np.argwhere(across < 0).tolist():
        following[column + 1, row + 1] = (column, row + 1)
    for row, column in np.argwhere(down > 0).tolist():  # a left edge goes up
        following[column + 1, row + 1] = (column + 1, row)
    for row, column in np.argwhere(down < 0).tolist():
        following[column + 1, row] = (column + 1, row + 1)
    found = []
    while following:
        start, at = following.popitem()
        loop = [start]
        while at != start:
            loop.append(at)
            at = following.pop(at)
        found.append(np.array(loop, float))
    return found


def _simplified(loop: Any) -> Any:
    """A loop with fewer corners that encloses all that it did."""
    loop = loop[_turns(loop) != 0]
    while True:
        turn = _turns(loop)
        before, after = np.roll(loop, 1, 0), np.roll(loop, -1, 0)
        away = np.abs(turn) / np.maximum(np.hypot(*(after - before).T), 1e-9)
        # Inward corners are bridged, from outside; of neighbors only one at a time.
        bridged = (turn < 0) & (away <= TOLERANCE) | (turn == 0)
        bridged &= ~np.roll(bridged, 1)
        bridged[0] &= not bridged[-1]
        for index in np.flatnonzero(bridged & (turn < 0)):
            bridged[index] = not _any_inside(loop, before[index], loop[index], after[index])
        if not bridged.any() or len(loop) <= 3:
            return loop
        loop = loop[~bridged]


def _turns(loop: Any) -> Any:
    """Twice the area of the triangle at each corner: positive where the loop turns around what it encloses."""
    into, out = loop - np.roll(loop, 1, 0), np.roll(loop, -1, 0) - loop
    return into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0]


def _any_inside(loop: Any, *triangle: Any) -> bool:
    """Whether another corner of a loop lies in a triangle."""
    sides = []
    for start, end in zip(triangle, (*triangle[1:], triangle[0])):
        side = end - start
        sides.append(side[0] * (loop[:, 1] - start[1]) - side[1] * (loop[:, 0] - start[0]))
    within = (np.minimum.reduce(sides) >= 0) | (np.maximum.reduce(sides) <= 0)
    for corner in triangle:
        within &= (loop != corner).any(1)
    return bool(within.any())
