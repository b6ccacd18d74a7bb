# SPDX-License-Identifier: GPL-3.0-or-later
"""The shading of a composition: what makes Blender's picture equal the engine's.

A sprite's straight color is ``(1 - mix) * tint + mix * bitmap`` and its alpha ``opacity * bitmap alpha``, in the
numbers of the composition's blend space. With shade, ``shade * (luma of the bitmap - its mean)`` is added to the tint,
and the color kept from 0 to 1. So in a job composed in sRGB the bitmaps are read as plain numbers
(Non-Color) and the scene is viewed Raw; in a job composed in linear light they are read as sRGB and the scene is viewed
Standard.

One node group per job holds the formula; each bitmap has a material that feeds its pixels to the group. Tint and
opacity come from the object's color, or from the attributes of an instance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import bpy

from . import compat
from .bridge.choices import BlendSpace
from .nodes import Nodes, socket

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in luma, as the engine has them (Rec. 709)."""

Source = Literal["object", "instancer"]
"""Where a sprite's own values are: tint and opacity in its object's color, or in the attributes `TINT` and `OPACITY` of
the instance that it is."""

TINT = "tint"  # a color
OPACITY = "opacity"  # a float
SIZE = "size"  # a vector: half width and half height in the mosaic's units, as an object's scale

EXACT, LIT = "Exact", "Lit"
"""The names of the two surfaces in a `sprite_group`."""

SPRITE, COORDINATES, SHEET = "Sprite", "Level of Detail", "Sheet"
REDUCED, REDUCED_ALPHA = "Reduced Bitmap", "Reduced Alpha"
FULL = ("Full Bitmap", "Full Color")
"""The names of nodes in a sprite's material: its groups, its sheet, what that gives, and those of the bitmap itself."""

FILE = "smalti_file"  # on a material: the file of its bitmap, in the job folder

ROUGHNESS = 0.8

NUMBERS = 'Non-Color'
COLOUR_SPACE: dict[BlendSpace, str] = {"srgb": NUMBERS, "linear": 'sRGB'}
"""How the artist's own pictures are read."""


def _as_blender_keeps(path: Path) -> str:
    """The path relative to the Blender file, where that is saved and the artist's preferences say so."""
    if bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths:
        with contextlib.suppress(ValueError):  # another drive
            return str(bpy.path.relpath(str(path)))
    return str(path)


def load_image(path: Path, colour_space: str) -> Any:
    """The picture `path` as a new image of `bpy.data`.

    Args:
        colour_space: by Blender's name.

    Raises:
        RuntimeError: Blender cannot read it.
    """
    image = bpy.data.images.load(_as_blender_keeps(path))
    if not image.size[0]:
        bpy.data.images.remove(image)
        raise RuntimeError(f"{path} is not a picture")
    image.colorspace_settings.name = colour_space
    # The files carry color on under their transparent texels, so it may be interpolated apart from the alpha; other
    # modes would let Blender premultiply in 8 bits first.
    image.alpha_mode = 'CHANNEL_PACKED'
    return image


def sprite_group(name: str, mix: float, shade: float, space: BlendSpace, source: Source = "object") -> Any:
    """The node group that turns a bitmap's color, premultiplied, and alpha into a surface.

    Args:
        mix, shade: of the composition. With shade, the group also asks for the bitmap's mean luma.
        space: the blend space.
        source: where tint and opacity are.
    """
    group = bpy.data.node_groups.new(name, 'ShaderNodeTree')
    group.interface.new_socket("Color", in_out='INPUT', socket_type='NodeSocketColor')
    group.interface.new_socket("Alpha", in_out='INPUT', socket_type='NodeSocketFloat').default_value = 1.0
    if shade:
        group.interface.new_socket("Mean Luma", in_out='INPUT', socket_type='NodeSocketFloat')
    group.interface.new_socket("Surface", in_out='OUTPUT', socket_type='NodeSocketShader')
    nodes = Nodes(group)
    bitmap = nodes.new('NodeGroupInput', 0, 0).outputs
    tint, opacity = _tint_and_opacity(nodes, source)
    tinted = nodes.vector('SCALE', 1, 1, "Tinted", tint, bitmap["Alpha"])
    if shade:
        tinted = _shaded(nodes, bitmap, shade, tinted)
    own = nodes.vector('SCALE', 2, 0, "Own Colors", bitmap["Color"], mix)
    color = nodes.vector('ADD', 4, 1, "Color Mix", nodes.vector('SCALE', 3, 1, "", tinted, 1 - mix), own)
    if shade:
        color = nodes.vector(
            'MINIMUM',
            5,
            2,
            "",
            nodes.vector('MAXIMUM', 5, 1, "", color, (0.0,) * 3),
            nodes.join(4, 2, *[bitmap["Alpha"]] * 3),
        )
    alpha = nodes.math('MULTIPLY', 4, -1, "Opacity", opacity, bitmap["Alpha"])
    _exact(nodes, color, opacity, alpha)
    _lit(
        nodes, nodes.vector('DIVIDE', 6, -2, "Straight", color, nodes.join(5, -2, *[bitmap["Alpha"]] * 3)), alpha, space
    )
    nodes.new('NodeGroupOutput', 10, 0)
    set_lit(group, False)
    return group


def set_lit(tree: Any, lit: bool) -> None:
    """Let the sprites of a `sprite_group`, or a background, take light, or show exactly their colors."""
    result = next(each for each in tree.nodes if each.bl_idname in {'NodeGroupOutput', 'ShaderNodeOutputMaterial'})
    tree.links.new(tree.nodes[LIT if lit else EXACT].outputs[0], result.inputs["Surface"])


def _exact(nodes: Nodes, color: Any, opacity: Any, alpha: Any) -> None:
    """The surface that shines with a premultiplied color, less the opacity, over what is behind it."""
    glow = nodes.new('ShaderNodeEmission', 7, 1)
    nodes.link(color, glow.inputs["Color"])
    nodes.link(opacity, glow.inputs["Strength"])
    clear = nodes.new('ShaderNodeBsdfTransparent', 7, 0)
    nodes.link(
        nodes.join(6, 0, *[nodes.math('SUBTRACT', 5, 0, "Shows Through", 1.0, alpha)] * 3), clear.inputs["Color"]
    )
    surface = nodes.new('ShaderNodeAddShader', 8, 1, EXACT)
    surface.name = EXACT
    nodes.link(glow.outputs[0], surface.inputs[0])
    nodes.link(clear.outputs[0], surface.inputs[1])


def _lit(nodes: Nodes, color: Any, alpha: Any, space: BlendSpace) -> None:
    """The surface that takes light. `color`: straight, in numbers of the blend space."""
    if space == "srgb":
        light = nodes.new('ShaderNodeGamma', 8, -2, "Linear")
        nodes.link(
            nodes.vector('MULTIPLY_ADD', 7, -2, "", color, (1 / 1.055,) * 3, (0.055 / 1.055,) * 3), light.inputs[0]
        )
        light.inputs["Gamma"].default_value = 2.4
        color = light.outputs[0]
    surface = nodes.new('ShaderNodeBsdfPrincipled', 9, -1, LIT)
    surface.name = LIT
    surface.inputs["Roughness"].default_value = ROUGHNESS
    nodes.link(color, surface.inputs["Base Color"])
    nodes.link(alpha, surface.inputs["Alpha"])


def _tint_and_opacity(nodes: Nodes, source: Source) -> tuple[Any, Any]:
    """The sockets that give a sprite's tint and its opacity."""
    if source == "object":
        info = nodes.new('ShaderNodeObjectInfo', 0, 2, "Tint and Opacity")
        return info.outputs["Color"], info.outputs["Alpha"]
    attributes = []
    for name, output, row in ((TINT, "Color", 3), (OPACITY, "Fac", 2)):
        attribute = nodes.new('ShaderNodeAttribute', 0, row, name.capitalize())
        attribute.attribute_type, attribute.attribute_name = 'INSTANCER', name
        attributes.append(attribute.outputs[output])
    return attributes[0], attributes[1]


def _shaded(nodes: Nodes, bitmap: Any, shade: float, tinted: Any) -> Any:
    """The tint with the bitmap's light and shade."""
    luma = nodes.vector('DOT_PRODUCT', 0, 4, "Luma", bitmap["Color"], LUMA)
    mean = nodes.math('MULTIPLY', 0, 5, "Mean", bitmap["Mean Luma"], bitmap["Alpha"])
    light = nodes.math('SUBTRACT', 1, 4, "Light and Shade", luma, mean)
    return nodes.vector('MULTIPLY_ADD', 2, 4, "Shade", nodes.join(1, 5, light, light, light), (shade,) * 3, tinted)


def _empty_tree(material: Any) -> Any:
    tree = compat.node_tree(material)
    tree.nodes.clear()
    # Sorted by object and blended: EEVEE's default dithers layers into noise.
    material.surface_render_method = 'BLENDED'
    material.use_transparency_overlap = material.use_transparent_shadow = True
    return tree


def sprite_material(name: str, group: Any, luma: float | None, bitmap: Callable[[Any], tuple[Any, Any]]) -> Any:
    """A material that shows a bitmap through the job's node group.

    Args:
        luma: the bitmap's mean, where there is shade.
        bitmap: adds the nodes of the bitmap to a tree; returns the sockets of its premultiplied color and its alpha.
    """
    material = bpy.data.materials.new(name)
    tree = _empty_tree(material)
    color, alpha = bitmap(tree)
    nodes = Nodes(tree)
    sprite = nodes.new('ShaderNodeGroup', 0, 0, SPRITE)
    sprite.name, sprite.node_tree = SPRITE, group
    if luma is not None:
        sprite.inputs["Mean Luma"].default_value = luma
    nodes.link(color, sprite.inputs["Color"])
    nodes.link(alpha, sprite.inputs["Alpha"])
    nodes.link(sprite.outputs["Surface"], nodes.new('ShaderNodeOutputMaterial', 1, 0).inputs["Surface"])
    return material


def renew(material: Any, group: Any, coordinates: Any, image: Any) -> None:
    """Let a material that the artist edited use new groups and the new picture, where it has those of Smalti's."""
    nodes = material.node_tree.nodes
    for name, new in ((SPRITE, group), (COORDINATES, coordinates)):
        if name in nodes:
            nodes[name].node_tree = new
    path = bpy.path.abspath(image.filepath)
    for node in nodes:
        is_image = node.bl_idname == 'ShaderNodeTexImage' and node.image is not None
        if is_image and bpy.path.abspath(node.image.filepath) == path:
            node.image = image


def whole_bitmap(tree: Any, image: Any) -> tuple[Any, Any]:
    """The premultiplied color and the alpha of a bitmap in its full size, as sockets of a material's tree."""
    nodes = Nodes(tree)
    texture = nodes.new('ShaderNodeTexImage', -3, 3)
    texture.name = FULL[0]
    texture.image, texture.interpolation, texture.extension = image, 'Linear', 'CLIP'
    alpha = texture.outputs["Alpha"]
    color = nodes.vector('SCALE', -1, 3, "Premultiplied", texture.outputs["Color"], alpha)
    color.node.name = FULL[1]
    return color, alpha


def show_bitmap(material: Any, image: Any | None) -> None:
    """Let the material of a reduced bitmap show `image`, the bitmap in full size; or None: the reduced one again."""
    tree = material.node_tree
    sprite = tree.nodes[SPRITE]
    for name in FULL:
        if name in tree.nodes:
            tree.nodes.remove(tree.nodes[name])
    color, alpha = (tree.nodes[REDUCED].outputs, tree.nodes[REDUCED_ALPHA].outputs)
    color, alpha = socket(color, "Result_Color"), socket(alpha, "Result_Float")
    if image is not None:
        color, alpha = whole_bitmap(tree, image)
    tree.links.new(color, sprite.inputs["Color"])
    tree.links.new(alpha, sprite.inputs["Alpha"])


def background_material(name: str, image: Any | None, space: BlendSpace) -> Any:
    """The material of the background: `image` stretched over the plane, or where there is none the object's color."""
    material = bpy.data.materials.new(name)
    nodes = Nodes(_empty_tree(material))
    if image is None:
        source = nodes.new('ShaderNodeObjectInfo', 0, 0)
    else:
        source = nodes.new('ShaderNodeTexImage', 0, 0)
        source.image, source.interpolation, source.extension = image, 'Linear', 'EXTEND'
    color, alpha = source.outputs["Color"], source.outputs["Alpha"]
    _exact(nodes, nodes.vector('SCALE', 2, 1, "Premultiplied", color, alpha), 1.0, alpha)
    _lit(nodes, color, alpha, space)
    nodes.new('ShaderNodeOutputMaterial', 10, 0)
    set_lit(nodes.tree, False)
    return material
