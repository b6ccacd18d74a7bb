# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: many small pictures drawn by one call of the rasterizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Float32Array, Int32Array, Int64Array
from ...raster import FINISHED_BACK_END, Atlas, Scene, draw

WIDTH = 1024
"""Width of a sheet in pixels, unless a single cell is wider."""
PIXELS = 2**18
"""Pixels of a sheet, unless a single cell has more: what bounds the memory."""


@dataclass(frozen=True, eq=False)
class DrawnSprite:
    """One sprite alone at full opacity.

    Attributes:
        index: position in the stack, 0 at the bottom.
        left, top: canvas position of its top left pixel; may lie outside.
        rgba: [h, w, 4] premultiplied, in the blend space.
    """

    index: int
    left: int
    top: int
    rgba: Float32Array


def drawn_apart(
    scene: Scene[NDArray[Any]], start: Int64Array, extent: Int64Array, order: Int64Array
) -> Iterator[DrawnSprite]:
    """Each sprite of a scene by itself at full opacity, in the pixels where the scene has it.

    Args:
        scene: without a background.
        start: [N, 2] left and top of each sprite's box on the scene's canvas, pixels; may lie outside.
        extent: [N, 2] width and height of the box, pixels. Nothing of the sprite lies outside of it.
        order: [M] which sprites, in the order in which they are drawn.

    Yields:
        The sprites, but for those larger than a sheet that lie off the canvas.
    """
    at = 0
    while at < len(order):
        if int(extent[order[at]].prod()) > PIXELS:
            # Alone on its sheet, so that what lies off the canvas can be left out without running into another cell.
            which = order[at : at + 1]
            corner = np.maximum(start[which], 0)
            sides = np.minimum(start[which] + extent[which], scene.size[::-1]) - corner
            cells, size = np.zeros_like(corner), (int(sides[0, 1]), int(sides[0, 0]))
        else:
            cells, size = _shelves(extent[order[at:]])
            which = order[at : at + len(cells)]
            corner, sides = start[which], extent[which]
        at += len(which)
        if min(size) < 1:
            continue
        sheet = draw(_moved(scene, which, corner - cells, size), FINISHED_BACK_END)
        for sprite, (left, top), (x, y), (width, height) in zip(which, corner, cells, sides):
            yield DrawnSprite(int(sprite), int(left), int(top), sheet[y : y + height, x : x + width])


def _moved(scene: Scene[NDArray[Any]], which: Int64Array, by: Int64Array, size: tuple[int, int]) -> Scene[NDArray[Any]]:
    """Some sprites of a scene at full opacity, each moved left and up by its own number of pixels.

    Args:
        which: [M] their indices.
        by: [M, 2] pixels.
        size: height and width of the new canvas.
    """
    affine = scene.affine[which].copy()
    affine[:, 2] += affine[:, 0] * by[:, 0] + affine[:, 1] * by[:, 1]
    affine[:, 5] += affine[:, 3] * by[:, 0] + affine[:, 4] * by[:, 1]
    return replace(
        scene,
        affine=affine,
        opacity=np.ones(len(which)),
        tint=scene.tint[which],
        template=scene.template[which],
        size=size,
    )


def _shelves(extent: Int64Array) -> tuple[Int64Array, tuple[int, int]]:
    """Places for the first of some boxes on a sheet, row by row, as many as it holds; at least one.

    Args:
        extent: [N, 2] width and height of the boxes, pixels.

    Returns:
        [M, 2] left and top of the first M boxes, and the sheet's height and width.
    """
    widest = max(WIDTH, int(extent[0, 0]))
    places: list[tuple[int, int]] = []
    x = y = shelf = 0
    for width, height in extent.tolist():
        if x + width > widest:
            x, y, shelf = 0, y + shelf, 0
        if places and (width > widest or (y + max(shelf, height)) * widest > PIXELS):
            break
        places.append((x, y))
        x, shelf = x + width, max(shelf, height)
    return np.array(places, np.int64), (y + shelf, widest)


def templates_stretched(atlas: Atlas, which: Int32Array, side: int, reach: float) -> Float32Array:
    """Templates, each stretched over a square, in their own colors.

    Args:
        atlas: the templates.
        which: [K] indices into the atlas.
        side: pixels of the square.
        reach: half the square's side, where the template reaches from -1 to 1.

    Returns:
        [K, side, side, 4] premultiplied, in the blend space.
    """
    columns = min(len(which), max(1, WIDTH // side))
    rows = -(-len(which) // columns)
    y, x = np.divmod(np.arange(len(which)), columns)
    affine = np.zeros((len(which), 6))
    affine[:, 0] = affine[:, 4] = 2 * reach / side
    affine[:, 2] = -reach - affine[:, 0] * x * side
    affine[:, 5] = -reach - affine[:, 4] * y * side
    scene: Scene[NDArray[Any]] = Scene(
        affine, np.ones(len(which)), np.zeros((len(which), 3)), which, atlas, (rows * side, columns * side), mix=1.0
    )
    sheet = draw(scene, FINISHED_BACK_END).reshape(rows, side, columns, side, 4)
    cells = sheet.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 4)
    return np.asarray(cells[: len(which)])
