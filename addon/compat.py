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


def set_input(modifier: Any, name: str, value: Any) -> None:
    """Give an input of a geometry nodes modifier a value, by the name of the group's socket."""
    identifier = _input(modifier, name)
    if bpy.app.version < (5, 2, 0):
        modifier[identifier] = value
    else:
        getattr(modifier.properties.inputs, identifier).value = value


def input_of(modifier: Any, name: str, otherwise: Any = None) -> Any:
    """The value of an input of a geometry nodes modifier; `otherwise` where its group has none of this name."""
    identifier = _input(modifier, name)
    if identifier is None:
        return otherwise
    if bpy.app.version < (5, 2, 0):
        return modifier[identifier]
    return getattr(modifier.properties.inputs, identifier).value


def _input(modifier: Any, name: str) -> Any:
    """The identifier of a modifier's input."""
    sockets = modifier.node_group.interface.items_tree
    return next(
        (s.identifier for s in sockets if s.item_type == 'SOCKET' and s.in_out == 'INPUT' and s.name == name), None
    )


def write_pictures(image_settings: Any) -> None:
    """Have a scene write PNG files with alpha, of 8 bits; newer versions ask first whether it is a film."""
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = 'IMAGE'
    image_settings.file_format, image_settings.color_mode, image_settings.color_depth = 'PNG', 'RGBA', '8'
    image_settings.color_management = 'FOLLOW_SCENE'


def image_settings_kept(image_settings: Any) -> tuple[str, ...]:
    """What `write_pictures` changes, in an order in which it can be set again: each allows the values of the next."""
    kind = ("media_type",) if hasattr(image_settings, "media_type") else ()
    return (*kind, "file_format", "color_mode", "color_depth", "color_management")
