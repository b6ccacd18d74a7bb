# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a film as a mosaic, play it, let an artist's own nodes read its attributes, and import it again."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
imported, instances, compat = (inside.module(name) for name in ("imported", "instances", "compat"))
scene = bpy.context.scene
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(form='MOSAIC', key_tolerance=0.0)
collection = imported.find_collection(scene, Path(given["job"]))
mosaic = instances.find(collection)
root = mosaic.parent


def shown() -> Any:
    """The matrix of every instance, in the units of the Empty, bottom first."""
    bpy.context.view_layer.update()
    inverse = root.matrix_world.inverted()
    every = bpy.context.evaluated_depsgraph_get().object_instances
    found = [inverse @ each.matrix_world for each in every if each.is_instance and each.parent.original == mosaic]
    return [[list(row) for row in matrix] for matrix in found]


def at(frame: Any) -> Any:
    """The instances at a frame, which may be broken."""
    scene.frame_set(int(frame), subframe=frame % 1)
    return shown()


def artists_nodes() -> Any:
    """A group that moves each instance by (rank, letter, region) and 100 times its size."""
    group = bpy.data.node_groups.new("Explode", 'GeometryNodeTree')
    for direction in ('INPUT', 'OUTPUT'):
        group.interface.new_socket("Geometry", in_out=direction, socket_type='NodeSocketGeometry')
    nodes, links = group.nodes, group.links

    def named(name: Any, kind: Any) -> Any:
        node = nodes.new('GeometryNodeInputNamedAttribute')
        node.data_type = kind
        node.inputs["Name"].default_value = name
        return next(socket for socket in node.outputs if socket.enabled)

    offset = nodes.new('ShaderNodeCombineXYZ')
    for name, socket in zip(("rank", "letter", "region"), offset.inputs):
        links.new(named(name, 'INT'), socket)
    add = nodes.new('ShaderNodeVectorMath')
    scale = nodes.new('ShaderNodeVectorMath')
    scale.operation = 'MULTIPLY_ADD'
    scale.inputs[1].default_value = (100, 100, 0)
    links.new(named("size", 'FLOAT_VECTOR'), scale.inputs[0])
    links.new(offset.outputs[0], scale.inputs[2])
    links.new(scale.outputs[0], add.inputs[0])
    subtract = nodes.new('ShaderNodeVectorMath')
    subtract.operation = 'SUBTRACT'
    links.new(add.outputs[0], subtract.inputs[0])
    links.new(named("center", 'FLOAT_VECTOR'), subtract.inputs[1])
    move = nodes.new('GeometryNodeTranslateInstances')
    move.inputs["Local Space"].default_value = False
    links.new(nodes.new('NodeGroupInput').outputs[0], move.inputs["Instances"])
    links.new(subtract.outputs[0], move.inputs["Translation"])
    links.new(move.outputs[0], nodes.new('NodeGroupOutput').inputs[0])
    return group


def state() -> Any:
    """What an import may change of the mosaic."""
    modifier = instances.modifier_of(mosaic)
    return {
        "same": instances.find(collection) == mosaic,
        "objects": sorted(o.name for o in collection.objects),
        "unused": [o.name for o in bpy.data.objects if not o.users],
        "meshes": len(bpy.data.meshes),
        "modifiers": [m.name for m in mosaic.modifiers],
        "first": compat.input_of(modifier, "First Frame") if modifier else None,
        "hidden": mosaic.hide_viewport,
        "location": list(mosaic.location),
    }


frames = {frame: at(frame) for frame in (1, 2, 2.5, 3, 9)}
attributes = {}
for attribute in mosaic.data.attributes:
    if attribute.data_type == 'INT' and not attribute.name.startswith("."):
        values = [0] * len(attribute.data)
        attribute.data.foreach_get("value", values)
        attributes[attribute.name] = values
fresh = state()
compat.set_input(instances.modifier_of(mosaic), "First Frame", 11.0)
mosaic.update_tag()
later = at(12)
mosaic.modifiers.new("Explode", 'NODES').node_group = artists_nodes()
exploded = at(12)
mosaic.location.x = 3
bpy.ops.smalti.import_layers(form='MOSAIC', key_tolerance=0.0)
again = state()
exploded_again = at(12)
bpy.ops.smalti.import_layers(form='LAYERS', key_tolerance=0.0)
as_layers = state()
bpy.ops.smalti.import_layers(form='MOSAIC', key_tolerance=0.0)
inside.finish(
    frames=list(frames.values()),
    attributes=attributes,
    later=later,
    exploded=exploded,
    exploded_again=exploded_again,
    states={"fresh": fresh, "again": again, "as_layers": as_layers, "back": state()},
    tints=[list(v.color) for v in mosaic.data.attributes["tint"].data],
)
