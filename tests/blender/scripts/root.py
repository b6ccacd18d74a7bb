# SPDX-License-Identifier: GPL-3.0-or-later
"""Import into a scene with a cube and a camera, move the mosaic, import again; say where all of it stands."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, root = inside.module("imported"), inside.module("root")
bpy.ops.mesh.primitive_cube_add(size=2)
bpy.ops.object.camera_add()
camera = scene.camera = bpy.context.object
scene.smalti.output = given["job"]


def state(job: Any = given["job"]) -> Any:
    collection = imported.find_collection(scene, Path(job))
    holder = root.of(collection)
    bpy.context.view_layer.update()
    others = [each for each in collection.objects if each != holder]
    corners = [each.matrix_world.translation for each in others if each.type == 'MESH']
    return {
        "roots": sum(each.type == 'EMPTY' for each in scene.objects),
        "held": all(each.parent == holder for each in others),
        "location": list(holder.location),
        "turned": list(holder.rotation_euler),
        "deepest": max(corner.y for corner in corners),
        "nearest": min(corner.y for corner in corners),
        "scene_camera": scene.camera.name,
        "selected": [each.name for each in bpy.context.selected_objects],
        "view": scene.view_settings.view_transform,
    }


bpy.ops.smalti.import_layers(camera=True)
first = state()
holder = root.of(imported.find_collection(scene, Path(given["job"])))
holder.location, holder.scale.z = (5, 6, 7), 20
bpy.ops.smalti.import_layers(camera=True, colors=True)
second = state()
holder.scale.z = 1
flat = state()["nearest"]

# Another mosaic, where the first one stands now.
scene.cursor.location = (5, 6, 6)
scene.smalti.output = given["other"]
bpy.ops.smalti.import_layers()
beside = state(given["other"])

# Into a collection that is not in the view layer, and after the Empty was deleted.
scene.smalti.output = given["job"]
layer = bpy.context.view_layer.layer_collection.children[Path(given["job"]).name]
layer.exclude = True
excluded = bpy.ops.smalti.import_layers()
layer.exclude = False
bpy.data.objects.remove(holder)
deleted = bpy.ops.smalti.import_layers()
inside.finish(
    first=first,
    second=second,
    artists=camera.name,
    name=first["selected"][0],
    flat=flat,
    beside=beside,
    excluded=[*excluded],
    deleted=[*deleted],
    last=state(),
)
