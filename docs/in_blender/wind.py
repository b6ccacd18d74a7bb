# SPDX-License-Identifier: GPL-3.0-or-later
"""A mosaic whose leaves the wind takes off, from the left: an artist's own nodes below the modifier of the import."""

import sys
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "blender" / "scripts"))
import inside

WIDTH, HEIGHT = 1500, 840
PAPER = (0.955, 0.935, 0.90, 1)

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(form='MOSAIC', camera=True)
imported, instances = inside.module("imported"), inside.module("instances")
collection = imported.imported_collections(scene)[0]
group = bpy.data.node_groups.new("Wind", 'GeometryNodeTree')
for direction in ('INPUT', 'OUTPUT'):
    group.interface.new_socket("Geometry", in_out=direction, socket_type='NodeSocketGeometry')


def new(kind: str, **settings: Any) -> Any:
    made = group.nodes.new(kind)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def feed(node: Any, *values: Any) -> Any:
    """Give a node's inputs values or links, in their order; returns its output."""
    for into, value in zip([each for each in node.inputs if each.enabled], values):
        if isinstance(value, bpy.types.NodeSocket):
            group.links.new(value, into)
        else:
            into.default_value = value
    return next(each for each in node.outputs if each.enabled)


def named(name: str, kind: str) -> Any:
    return feed(new('GeometryNodeInputNamedAttribute', data_type=kind), name)


def math(operation: str, *values: Any) -> Any:
    return feed(new('ShaderNodeMath', operation=operation), *values)


def parts(vector: Any) -> Any:
    made = new('ShaderNodeSeparateXYZ')
    group.links.new(vector, made.inputs[0])
    return made.outputs


def centered(number: Any, factor: float, middle: float = 0.5) -> Any:
    return math('MULTIPLY', math('SUBTRACT', number, middle), factor)


center = parts(named("center", 'FLOAT_VECTOR'))
chance = new('FunctionNodeRandomValue', data_type='FLOAT_VECTOR')
for socket in chance.inputs:
    if socket.enabled and socket.name == "Min":
        socket.default_value = (0, 0, 0)
    if socket.enabled and socket.name == "ID":
        group.links.new(named("rank", 'INT'), socket)
one, two, three = parts(next(each for each in chance.outputs if each.enabled))

# How far gone each is: more to the left, in a ragged line, the upper leaves first.
edge = math('ADD', math('MULTIPLY', center[0], -1.0), centered(one, 0.55))
edge = math('ADD', edge, math('MULTIPLY', center[1], 0.35))
edge = math('ADD', edge, centered(named("depth", 'FLOAT'), 0.25))
gone = math('POWER', feed(new('ShaderNodeMapRange'), edge, 0.42, 1.2, 0.0, 1.0), 1.6)

gust = math('MULTIPLY', math('SINE', math('MULTIPLY', center[0], 7.0)), 0.12)
lift = math('ADD', gust, math('SUBTRACT', math('MULTIPLY', three, 0.75), 0.12))
way = feed(
    new('ShaderNodeCombineXYZ'),
    math('MULTIPLY', math('MULTIPLY', gone, -1.0), math('ADD', 0.5, math('MULTIPLY', two, 1.1))),
    math('MULTIPLY', gone, lift),
    math('MULTIPLY', gone, math('MULTIPLY', one, 0.5)),
)
turns = [math('MULTIPLY', gone, turn) for turn in (centered(two, 4.0), centered(three, 4.0), centered(one, 5.0, 0.3))]
move, turn = new('GeometryNodeTranslateInstances'), new('GeometryNodeRotateInstances')
move.inputs["Local Space"].default_value = False
group.links.new(new('NodeGroupInput').outputs[0], move.inputs["Instances"])
group.links.new(way, move.inputs["Translation"])
group.links.new(move.outputs[0], turn.inputs["Instances"])
rotation = feed(new('FunctionNodeEulerToRotation'), feed(new('ShaderNodeCombineXYZ'), *turns))
group.links.new(rotation, turn.inputs["Rotation"])
group.links.new(turn.outputs[0], new('NodeGroupOutput').inputs[0])
instances.find(collection).modifiers.new("Wind", 'NODES').node_group = group

bpy.ops.smalti.match_colours()
next(each for each in collection.objects if "Background" in each.name).hide_render = True
scene.render.film_transparent = False
world = scene.world = bpy.data.worlds.new("Paper")
if world.node_tree is None:
    world.use_nodes = True
paper = next(node for node in world.node_tree.nodes if node.bl_idname == 'ShaderNodeBackground')
paper.inputs[0].default_value, paper.inputs[1].default_value = PAPER, 1
camera = next(each for each in collection.objects if each.type == 'CAMERA')
camera.data.ortho_scale = 2.75
camera.location.x -= 0.33
camera.location.y += 0.05
camera.location.z += 2
camera.data.clip_end += 4
scene.render.engine = 'CYCLES'
scene.cycles.samples, scene.cycles.max_bounces = 16, 0
scene.cycles.pixel_filter_type, scene.cycles.filter_width = 'BLACKMAN_HARRIS', 1.5
scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
scene.render.filepath = given["out"]
bpy.ops.render.render(write_still=True)
inside.finish()
