# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job folder, render it where asked, and say what is in the scene."""

from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, view = inside.module("imported"), inside.module("view")
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(camera=True, **given.get("options", {}))
collection = imported.find_collection(scene, Path(given["job"]))
before = view.differing(scene, collection)
for frame, path in given.get("renders", []):
    inside.render(path, frame)
after = view.differing(scene, collection)

sprites = [o for o in collection.objects if o.type == 'MESH' and "Background" not in o.name]
inside.finish(
    names=[o.name for o in sprites],
    collection=collection.name,
    meshes=len({o.data for o in sprites}),
    materials=len({o.material_slots[0].material for o in sprites}),
    heights=[o.location.z for o in sprites],
    backgrounds=[[o.name, o.location.z] for o in collection.objects if "Background" in o.name],
    cameras=[[o.data.type, o.data.ortho_scale] for o in collection.objects if o.type == 'CAMERA'],
    curves=[inside.curves(o) for o in sprites] if given.get("curves") else [],
    colours=[list(o.color) for o in sprites],
    places=[list(o.location[:2]) for o in sprites],
    frames=[scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base],
    differing=[before, after],
    depth=collection[imported.DEPTH],
    homes={each.name: len(each.objects) for each in (collection, *collection.children)},
)
