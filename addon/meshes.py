# SPDX-License-Identifier: GPL-3.0-or-later
"""The meshes of sprites: a square for each bitmap, a little larger than it, or cut along its outline."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.geometry import tessellate_polygon

from .bridge.levels import Sheet, place_of, size_of
from .outlines import outlines

_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def square(name: str, material: Any, margin: tuple[float, float] = (0.0, 0.0)) -> Any:
    """A mesh of the square [-1, 1] with a margin, in the XY plane. Its UV map is 0 to 1 over the square without it."""
    corners = [(x * (1 + margin[0]), y * (1 + margin[1])) for x, y in _CORNERS]
    return _mesh(name, material, np.array(corners), [(0, 1, 2, 3)])


def cut(name: str, material: Any, alpha: Any) -> Any:
    """A mesh of what can be seen of a bitmap, as `square` has it.

    Args:
        alpha: [h, w] of the bitmap, row 0 at the top. One without anything to be seen has no faces.
    """
    polygons = outlines(alpha)
    corners = np.concatenate([np.zeros((0, 2)), *polygons]) * 2 - 1
    around = [[Vector((*corner, 0.0)) for corner in polygon.tolist()] for polygon in polygons]
    return _mesh(name, material, corners, tessellate_polygon(around) if around else [])


def alpha_of(image: Any, sheet: Sheet | None, level: int) -> Any:
    """The alpha of a bitmap, float32 [h, w], row 0 at the top.

    Args:
        image: its sheet, or where there is none the bitmap itself.
        level: of the sheet.
    """
    columns, rows = image.size
    pixels = np.empty(columns * rows * 4, np.float32)
    image.pixels.foreach_get(pixels)
    alpha = pixels[3::4].reshape(rows, columns)[::-1]
    if sheet is None:
        return alpha
    (left, top), (width, height) = place_of(sheet, level), size_of(sheet, level)
    return alpha[top : top + height, left : left + width]


def _mesh(name: str, material: Any, corners: Any, faces: Any) -> Any:
    """A flat mesh of corners [n, 2] and faces, with its UV map."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x, y, 0) for x, y in corners.tolist()], [], faces)
    loops = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", loops)
    places = (1 + corners[loops]) / 2
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", places.astype(np.float32).ravel())
    mesh.materials.append(material)
    return mesh
