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

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in luma, as the engine has them (Rec. 709)."""

Source = Literal["object", "instancer"]
"""Where a sprite's own values are: tint and opacity in its object's color, or in the attributes `TINT` and `OPACITY` of
the instance that it is."""

TINT = "tint"  # a color
OPACITY = "opacity"  # a float
SIZE = "size"  # a vector: half width and half height in the mosaic's units, as an object's scale

COLOUR_SPACE: dict[BlendSpace, str] = {"srgb": 'Non-Color', "linear": 'sRGB'}


def _as_blender_keeps(path: Path) -> str:
    """The path relative to the Blender file, where that is saved and the artist's preferences say so."""
    if bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths:
        with contextlib.suppress(ValueError):  # another drive
            return str(bpy.path.relpath(str(path)))
    return str(path)


def load_image(path: Path, space: BlendSpace) -> Any:
    """The picture `path` as a new image of `bpy.data`, read for the blend space.

    Raises:
        RuntimeError: Blender cannot read it.
    """
    image = bpy.data.images.load(_as_blender_keeps(path))
    if not image.size[0]:
        bpy.data.images.remove(image)
        raise RuntimeError(f"{path} is not a picture")
    image.colorspace_settings.name = COLOUR_SPACE[space]
    # The files carry color on under their transparent texels, so it may be interpolated apart from the alpha; other
    # modes would let Blender premultiply in 8 bits first.
    image.alpha_mode = 'CHANNEL_PACKED'
    return image


def sprite_group(name: str, mix: float, shade: float, source: Source = "object") -> Any:
    """The node group that turns a bitmap's color and alpha into a surface with the sprite's tint and opacity.

    Args:
        mix, shade: of the composition. With shade, the group also asks for the bitmap's mean luma.
        source: where tint and opacity are.
    """
    group = bpy.data.node_groups.new(name, 'ShaderNodeTree')
    group.interface.new_socket("Color", in_out='INPUT', socket_type='NodeSocketColor')
    group.interface.new_socket("Alpha", in_out='INPUT', socket_type='NodeSocketFloat').default_value = 1.0
    group.interface.new_socket("Surface", in_out='OUTPUT', socket_type='NodeSocketShader')
    nodes, links = group.nodes, group.links

    def node(kind: str, x: float, y: float, label: str = "") -> Any:
        made = nodes.new(kind)
        made.location, made.label = (x, y), label
        return made

    bitmap = node('NodeGroupInput', -600, -60)
    own_tint, own_opacity = _tint_and_opacity(node, source)
    colour = node('ShaderNodeMix', -380, 200, "Color Mix")
    colour.data_type, colour.clamp_factor = 'RGBA', True
    factor, tint, own = (
        next(s for s in colour.inputs if s.identifier == i) for i in ("Factor_Float", "A_Color", "B_Color")
    )
    factor.default_value = mix
    alpha = node('ShaderNodeMath', -380, -60, "Opacity")
    alpha.operation = 'MULTIPLY'
    clear = node('ShaderNodeBsdfTransparent', -160, -60)
    glow = node('ShaderNodeEmission', -160, 200)
    surface = node('ShaderNodeMixShader', 60, 80)
    result = node('NodeGroupOutput', 260, 80)

    links.new(own_tint, tint)
    links.new(bitmap.outputs["Color"], own)
    shown = next(s for s in colour.outputs if s.identifier == "Result_Color")
    if shade:
        shown = _shade(group, node, shade, tint, shown)
    links.new(own_opacity, alpha.inputs[0])
    links.new(bitmap.outputs["Alpha"], alpha.inputs[1])
    links.new(shown, glow.inputs["Color"])
    links.new(alpha.outputs[0], surface.inputs[0])
    links.new(clear.outputs[0], surface.inputs[1])
    links.new(glow.outputs[0], surface.inputs[2])
    links.new(surface.outputs[0], result.inputs["Surface"])
    return group


def _tint_and_opacity(node: Callable[..., Any], source: Source) -> tuple[Any, Any]:
    """The sockets that give a sprite's tint and its opacity."""
    if source == "object":
        info = node('ShaderNodeObjectInfo', -600, 200, "Tint and Opacity")
        return info.outputs["Color"], info.outputs["Alpha"]
    attributes = []
    for name, output, y in ((TINT, "Color", 300), (OPACITY, "Fac", 100)):
        attribute = node('ShaderNodeAttribute', -600, y, name.capitalize())
        attribute.attribute_type, attribute.attribute_name = 'INSTANCER', name
        attributes.append(attribute.outputs[output])
    return attributes[0], attributes[1]


def _shade(group: Any, node: Callable[..., Any], shade: float, tint: Any, shown: Any) -> Any:
    """Add the bitmap's light and shade to the tint, an input of the mix; returns `shown`, the mix, kept from 0 to 1."""
    links, tinted = group.links, tint.links[0].from_socket
    group.interface.new_socket("Mean Luma", in_out='INPUT', socket_type='NodeSocketFloat')
    bitmap = next(each for each in group.nodes if each.bl_idname == 'NodeGroupInput')

    def calculated(operation: str, x: float, y: float, label: str, *values: Any) -> Any:
        made = node('ShaderNodeVectorMath', x, y, label)
        made.operation = operation
        for socket, value in zip(made.inputs, values):
            if isinstance(value, tuple):
                socket.default_value = value
            else:
                links.new(value, socket)
        return made.outputs["Value" if operation == 'DOT_PRODUCT' else "Vector"]

    luma = calculated('DOT_PRODUCT', -1000, 360, "Luma", bitmap.outputs["Color"], LUMA)
    light = calculated('SUBTRACT', -800, 360, "Light and Shade", luma, bitmap.outputs["Mean Luma"])
    links.new(calculated('MULTIPLY_ADD', -560, 360, "Shade", light, (shade,) * 3, tinted), tint)
    positive = calculated('MAXIMUM', -200, 360, "From 0", shown, (0.0,) * 3)
    return calculated('MINIMUM', -20, 360, "To 1", positive, (1.0,) * 3)


def _empty_tree(material: Any) -> Any:
    tree = compat.node_tree(material)
    tree.nodes.clear()
    # Sorted by object and blended: EEVEE's default dithers layers into noise.
    material.surface_render_method = 'BLENDED'
    material.use_transparency_overlap = True
    return tree


def sprite_material(name: str, image: Any, group: Any, luma: float | None) -> Any:
    """A material that shows `image` through the job's node group. `luma`: the bitmap's mean, where there is shade."""
    material = bpy.data.materials.new(name)
    tree = _empty_tree(material)
    texture = tree.nodes.new('ShaderNodeTexImage')
    texture.image, texture.interpolation, texture.extension = image, 'Linear', 'CLIP'
    texture.location = (-300, 0)
    sprite = tree.nodes.new('ShaderNodeGroup')
    sprite.node_tree = group
    if luma is not None:
        sprite.inputs["Mean Luma"].default_value = luma
    output = tree.nodes.new('ShaderNodeOutputMaterial')
    output.location = (220, 0)
    tree.links.new(texture.outputs["Color"], sprite.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], sprite.inputs["Alpha"])
    tree.links.new(sprite.outputs["Surface"], output.inputs["Surface"])
    return material


def background_material(name: str, image: Any | None) -> Any:
    """The material of the background: `image` stretched over the plane, or where there is none the object's color."""
    material = bpy.data.materials.new(name)
    tree = _empty_tree(material)
    glow = tree.nodes.new('ShaderNodeEmission')
    glow.location = (-160, 0)
    output = tree.nodes.new('ShaderNodeOutputMaterial')
    output.location = (260, 0)
    if image is None:
        info = tree.nodes.new('ShaderNodeObjectInfo')
        info.location = (-380, 0)
        tree.links.new(info.outputs["Color"], glow.inputs["Color"])
        tree.links.new(glow.outputs[0], output.inputs["Surface"])
        return material
    texture = tree.nodes.new('ShaderNodeTexImage')
    texture.image, texture.interpolation, texture.extension = image, 'Linear', 'EXTEND'
    texture.location = (-460, 0)
    clear = tree.nodes.new('ShaderNodeBsdfTransparent')
    clear.location = (-160, -140)
    surface = tree.nodes.new('ShaderNodeMixShader')
    surface.location = (60, 0)
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], surface.inputs[0])
    tree.links.new(clear.outputs[0], surface.inputs[1])
    tree.links.new(glow.outputs[0], surface.inputs[2])
    tree.links.new(surface.outputs[0], output.inputs["Surface"])
    return material
