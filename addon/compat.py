# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the Blender versions served (4.2 up to 5.2). No other module asks for the version."""

from __future__ import annotations

from typing import Any

import bpy
from mathutils import Color

# Paths that start with // are understood by every version; only newer ones let a property say so.
PATH_OPTIONS = {'PATH_SUPPORTS_BLEND_RELATIVE'} if bpy.app.version >= (4, 5, 0) else set()


def curves_for(item: Any, name: str) -> Any:
    """The collection of F-curves of an object, in a new action where it has none."""
    animation = item.animation_data or item.animation_data_create()
    action = animation.action
    if action is None:
        action = animation.action = bpy.data.actions.new(name)
    if bpy.app.version < (4, 4, 0):
        return action.fcurves
    slot = animation.action_slot or action.slots.new(id_type='OBJECT', name=name)
    animation.action_slot = slot
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type='KEYFRAME')
    return strip.channelbag(slot, ensure=True).fcurves


def curves_of(item: Any) -> Any:
    """The F-curves of `item`, an object that has an action."""
    animation = item.animation_data
    if bpy.app.version < (4, 4, 0):
        return animation.action.fcurves
    slot = animation.action_slot
    bags = (strip.channelbag(slot) for layer in animation.action.layers for strip in layer.strips) if slot else ()
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def node_tree(material: Any) -> Any:
    """The node tree of a new material, which versions before 5.0 make only on request."""
    if material.node_tree is None:
        material.use_nodes = True
    return material.node_tree


def palette_color_in_srgb(color: Any) -> Any:
    """A color of a palette in sRGB, as which versions before 5.0 keep it; newer ones keep it in the scene's space."""
    found = Color(color.color)  # one of its own: Blender does not convert one that it still holds
    return found if bpy.app.version < (5, 0, 0) else found.from_scene_linear_to_srgb()


def palette_color_from_srgb(color: Any, srgb: Any) -> None:
    """Give a palette's color the color `srgb`."""
    found = Color(srgb)
    color.color = found if bpy.app.version < (5, 0, 0) else found.from_srgb_to_scene_linear()
