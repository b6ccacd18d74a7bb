# SPDX-License-Identifier: GPL-3.0-or-later
"""Import job folders one after another, each into an empty scene, and render frames; say what would have differed."""

from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable()
imported, view = inside.module("imported"), inside.module("view")
told = []
for job, pictures in given["jobs"]:
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.smalti.output = job
    bpy.ops.smalti.import_layers(camera=True, form=given.get("form", 'LAYERS'), key_tolerance=0.0)
    collection = imported.find_collection(scene, Path(job))
    before = view.differing(scene, collection)
    for frame, picture in pictures:
        inside.render(picture, frame, given.get("samples", inside.SAMPLES))
    told.append({"before": before, "after": view.differing(scene, collection), "depth": collection[imported.DEPTH]})
inside.finish(jobs=told)
