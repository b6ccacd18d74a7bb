# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduced bitmaps in materials: a sprite shows its bitmap as finely as the engine drew it.

Renderers sample a bitmap as it is, and average many samples in each pixel. The engine samples bitmaps that it has
reduced, once in the middle of each pixel, from two sizes mixed by how large the sprite is (docs/forward-model.md,
"Level of detail"). Here a node group says where on a template's sheet (`bridge.levels`) both samples are taken, and how
they are mixed. It goes by the sprite's own scale, so sprites may grow and shrink over the frames.
"""

from __future__ import annotations

from math import log2, pi
from typing import Any

import bpy

from .bridge.levels import BORDER, GAP, SLACK, Sheet
from .composition import LOD_OFFSET
from .materials import COORDINATES, REDUCED, REDUCED_ALPHA, SHEET
from .nodes import Nodes, socket

NEAREST = 0.5  # texels outside of a level, where it has faded to nothing


def level_of(sheet: Sheet, unit: float) -> float:
    """The level of detail of a sprite whose scale is 1 by 1.

    Args:
        unit: Blender units per canvas pixel.
    """
    return 0.5 * log2(sheet.width * sheet.height) + log2(unit / 2) + LOD_OFFSET


def coordinates_group(name: str, size: tuple[str, str]) -> Any:
    """The node group that says where on its sheet a sprite samples its bitmap.

    Inputs: Finest (width and height of the finest level, and how many follow), Sheet (width and height of the picture),
    Level (`level_of`). Outputs: Fine and Coarse, coordinates for a texture node that projects on a tube, and Mix.

    Args:
        size: type and name of the attribute that is a sprite's scale.
    """
    group = bpy.data.node_groups.new(name, 'ShaderNodeTree')
    for title, kind in (("Finest", 'NodeSocketVector'), ("Sheet", 'NodeSocketVector'), ("Level", 'NodeSocketFloat')):
        group.interface.new_socket(title, in_out='INPUT', socket_type=kind)
    for title, kind in (("Fine", 'NodeSocketVector'), ("Coarse", 'NodeSocketVector'), ("Mix", 'NodeSocketFloat')):
        group.interface.new_socket(title, in_out='OUTPUT', socket_type=kind)
    nodes = Nodes(group)
    given = nodes.new('NodeGroupInput', 0, 0).outputs
    result = nodes.new('NodeGroupOutput', 15, 0).inputs

    attribute = nodes.new('ShaderNodeAttribute', 0, -2, "Size")
    attribute.attribute_type, attribute.attribute_name = size
    sides = nodes.split(attribute.outputs["Vector"], 1, -2)
    area = nodes.math('ABSOLUTE', 2, -2, "Area", nodes.math('MULTIPLY', 2, -3, "", sides[0], sides[1]))
    halvings = nodes.math('MULTIPLY', 3, -2, "Halvings", nodes.math('LOGARITHM', 3, -3, "", area, 2.0), 0.5)
    last = nodes.split(given["Finest"], 1, 0)[2]
    level = nodes.math('SUBTRACT', 4, -2, "Level of Detail", given["Level"], halvings)
    level = nodes.math('MINIMUM', 5, -2, "", nodes.math('MAXIMUM', 5, -3, "", level, 0.0), last)
    fine = nodes.math('FLOOR', 6, -2, "Fine", level)
    coarse = nodes.math('MINIMUM', 6, -3, "Coarse", nodes.math('ADD', 6, -4, "", fine, 1.0), last)
    nodes.link(nodes.math('SUBTRACT', 7, -4, "Mix", level, fine), result["Mix"])

    place = nodes.split(nodes.new('ShaderNodeUVMap', 0, 2).outputs["UV"], 1, 2)
    down = nodes.math('SUBTRACT', 2, 3, "From the Top", 1.0, place[1])
    place = nodes.join(3, 2, place[0], down)
    for title, number, row in (("Fine", fine, 1), ("Coarse", coarse, -6)):
        nodes.link(_tube(nodes, _on_sheet(nodes, place, given, number, row), row), result[title])
    return group


def _on_sheet(nodes: Nodes, place: Any, given: Any, level: Any, row: int) -> tuple[Any, Any]:
    """Where `place` on a template, from 0 to 1, is on a sheet, from 0 to 1, from the left and from below."""
    part = nodes.math('POWER', 6, row, "", 0.5, level)
    exact = nodes.vector('SCALE', 7, row, "", given["Finest"], part)
    size = nodes.vector('CEIL', 7, row + 1, "Size", nodes.vector('SUBTRACT', 7, row + 2, "", exact, (SLACK,) * 3))
    before = nodes.math('MULTIPLY_ADD', 8, row, "", nodes.split(given["Finest"], 5, row)[0], 2.0, -SLACK)
    before = nodes.math(
        'SUBTRACT',
        8,
        row + 1,
        "",
        before,
        nodes.math('MULTIPLY', 8, row + 2, "", 2.0, nodes.split(exact, 8, row + 3)[0]),
    )
    left = nodes.math(
        'ADD',
        9,
        row,
        "Left",
        nodes.math('CEIL', 9, row + 1, "", before),
        nodes.math('MULTIPLY_ADD', 9, row + 2, "", level, float(GAP), float(BORDER)),
    )
    texel = nodes.vector('MULTIPLY', 10, row, "", place, size)
    texel = nodes.vector('MAXIMUM', 10, row + 1, "", texel, (-NEAREST,) * 3)
    texel = nodes.vector('MINIMUM', 10, row + 2, "", texel, nodes.vector('ADD', 10, row + 3, "", size, (NEAREST,) * 3))
    texel = nodes.vector('ADD', 11, row, "Texel", texel, nodes.join(11, row + 1, left, float(BORDER)))
    share = nodes.split(nodes.vector('DIVIDE', 12, row, "", texel, given["Sheet"]), 12, row + 1)
    return share[0], nodes.math('SUBTRACT', 13, row, "", 1.0, share[1])


def _tube(nodes: Nodes, place: tuple[Any, Any], row: int) -> Any:
    """What makes a texture node that projects on a tube look up `place`.

    EEVEE reduces flat textures by itself, on a GPU, at the borders between levels too; those on a tube it does not.
    """
    angle = nodes.math('MULTIPLY_ADD', 13, row + 1, "", place[0], -2 * pi, pi)
    across, along = (
        nodes.math('MULTIPLY_ADD', 14, row + k, "", nodes.math(function, 13, row + 2 + k, "", angle), 0.5, 0.5)
        for k, function in enumerate(('SINE', 'COSINE'))
    )
    return nodes.join(14, row + 2, across, along, place[1])


def sample(tree: Any, image: Any, sheet: Sheet, group: Any, level: float) -> tuple[Any, Any]:
    """The premultiplied color and the alpha of a sprite's bitmap, as sockets of a material's tree.

    Args:
        image: the sheet.
        group: of `coordinates_group`.
        level: of `level_of`.
    """
    nodes = Nodes(tree)
    where = nodes.new('ShaderNodeGroup', -6, 0)
    where.name, where.node_tree = COORDINATES, group
    where.inputs["Finest"].default_value = (sheet.width, sheet.height, sheet.count - 1)
    where.inputs["Sheet"].default_value = (*sheet.pixels, 1)
    where.inputs["Level"].default_value = level
    found = []
    for title, row in (("Fine", 1), ("Coarse", -1)):
        texture = nodes.new('ShaderNodeTexImage', -4, row)
        texture.image, texture.interpolation, texture.extension = image, 'Linear', 'EXTEND'
        texture.projection = 'TUBE'
        tree.links.new(where.outputs[title], texture.inputs["Vector"])
        found.append(texture)
    found[0].name = SHEET
    mix = nodes.new('ShaderNodeMix', -2, 1)
    mix.data_type = 'RGBA'
    alpha = nodes.new('ShaderNodeMix', -2, -1)
    mix.name, alpha.name = REDUCED, REDUCED_ALPHA
    for node, kind, output in ((mix, "Color", "Color"), (alpha, "Float", "Alpha")):
        tree.links.new(where.outputs["Mix"], socket(node.inputs, "Factor_Float"))
        tree.links.new(found[0].outputs[output], socket(node.inputs, f"A_{kind}"))
        tree.links.new(found[1].outputs[output], socket(node.inputs, f"B_{kind}"))
    return socket(mix.outputs, "Result_Color"), socket(alpha.outputs, "Result_Float")
