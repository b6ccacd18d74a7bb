# SPDX-License-Identifier: GPL-3.0-or-later
"""The meshes of sprites: a square for each bitmap, a little larger than it."""

from __future__ import annotations

from typing import Any

import bpy

_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def square(name: str, material: Any, margin: tuple[float, float] = (0.0, 0.0)) -> Any:
    """A mesh of the square [-1, 1] with a margin, in the XY plane. Its UV map is 0 to 1 over the square without it."""
    corners = [(x * (1 + margin[0]), y * (1 + margin[1])) for x, y in _CORNERS]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x, y, 0) for x, y in corners], [], [(0, 1, 2, 3)])
    places = [(1 + number) / 2 for corner in corners for number in corner]
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", places)
    mesh.materials.append(material)
    return mesh
