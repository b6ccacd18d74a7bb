# SPDX-License-Identifier: GPL-3.0-or-later
"""A mosaic with its layers drawn apart, in the light of a sun from the left."""

import sys
from math import radians
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "blender" / "scripts"))
import inside
from mathutils import Vector

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(surface='LIT')
imported, root = inside.module("imported"), inside.module("root")
holder = root.of(imported.imported_collections(scene)[0])
holder.scale.z = 3


def add(name: str, data: Any) -> Any:
    made = bpy.data.objects.new(name, data)
    scene.collection.objects.link(made)
    return made


light = bpy.data.lights.new("Sun", 'SUN')
light.energy, light.angle = 4.5, radians(2)
add("Sun", light).rotation_euler = [radians(angle) for angle in (50, 0, -50)]
world = scene.world = bpy.data.worlds.new("Sky")
if world.node_tree is None:
    world.use_nodes = True
sky = next(node for node in world.node_tree.nodes if node.bl_idname == 'ShaderNodeBackground')
sky.inputs[0].default_value, sky.inputs[1].default_value = (1.0, 0.96, 0.9, 1), 0.9

camera = scene.camera = add("Camera", bpy.data.cameras.new("Camera"))
camera.data.lens = 60
bpy.context.view_layer.update()
camera.location = (0.8, -4.5, 1.0)
middle = Vector((0, holder.location.y - 0.1, holder.location.z))
camera.rotation_euler = (middle - camera.location).to_track_quat('-Z', 'Y').to_euler()
scene.view_settings.view_transform = 'Standard'
scene.render.engine = 'CYCLES'
scene.cycles.samples, scene.cycles.transparent_max_bounces = 12, 48
scene.cycles.use_denoising = True
scene.render.resolution_x, scene.render.resolution_y = 900, 600
scene.render.filepath = given["out"]
bpy.ops.render.render(write_still=True)
inside.finish()
