# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job, change some of its layers as an artist does, and import it again: keeping the changes, then not."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, earlier = inside.module("imported"), inside.module("earlier")
KINDS = ("objects", "meshes", "materials", "images", "actions", "node_groups", "cameras", "collections")


def state() -> Any:
    collection = imported.find_collection(scene, Path(given["job"]))
    layers = {item[earlier.RANK]: item for item in collection.all_objects if earlier.RANK in item}
    told = {
        rank: [*item.location, *item.color, item.name, bool(item.animation_data), item.active_material.name]
        for rank, item in sorted(layers.items())
    }
    return {
        "layers": told,
        "counts": {kind: len(getattr(bpy.data, kind)) for kind in KINDS},
        "homes": {c.name: len(c.objects) for c in (collection, *collection.children)},
        "summary": earlier.find(collection).summary,
    }


def bring_in(**options: Any) -> Any:
    bpy.ops.smalti.import_layers(**options)
    return state()


scene.smalti.output = given["job"]
bring_in(camera=True)
file = str(Path(given["job"]).with_name("mosaic.blend"))
bpy.ops.wm.save_as_mainfile(filepath=file)
bpy.ops.wm.open_mainfile(filepath=file)
scene = bpy.context.scene
first = state()
collection = imported.find_collection(scene, Path(given["job"]))
layers = {item[earlier.RANK]: item for item in collection.all_objects if earlier.RANK in item}
layers[1].location.x += 1
layers[2].color[0] = 0.125
layers[3].keyframe_insert("scale")
layers[4].material_slots[0].link = 'OBJECT'
layers[4].material_slots[0].material = bpy.data.materials.new("Gold")
layers[6].name = "My Leaf"
bpy.data.objects.remove(layers[5])
copy = layers[6].copy()
collection.objects.link(copy)
below = bpy.data.collections.new("Chosen")
collection.children.link(below)
collection.objects.unlink(layers[7])
below.objects.link(layers[7])
camera = next(item for item in collection.objects if item.type == 'CAMERA')
camera.location.x = 3
changed = state()
Path(given["job"]).joinpath("frames.npz").write_bytes(Path(given["other"]).joinpath("frames.npz").read_bytes())
kept = bring_in(camera=True, group='BITMAP')
kept["camera"] = camera.location.x
kept["chosen"] = len(below.objects)
copied = copy.name in bpy.data.objects
bpy.data.objects.remove(copy)
bpy.data.objects.remove(camera)
replaced = bring_in(changes='REPLACE')
again = bring_in()

inside.finish(first=first, changed=changed, kept=kept, copied=copied, replaced=replaced, again=again)
