# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a film, move one key of one layer, and import it again, with the scene at another frame."""

from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, earlier, compat = inside.module("imported"), inside.module("earlier"), inside.module("compat")
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers()
collection = imported.find_collection(scene, Path(given["job"]))
layers = {item[earlier.RANK]: item for item in collection.all_objects if earlier.RANK in item}
scene.frame_set(2)
untouched = earlier.find(collection).summary
curve = next(c for c in compat.curves_of(layers[2]) if c.data_path == "location" and c.array_index == 0)
curve.keyframe_points[1].co.y = 7
before, actions = inside.curves(layers[1]), len(bpy.data.actions)
bpy.ops.smalti.import_layers()
curve = next(c for c in compat.curves_of(layers[2]) if c.data_path == "location" and c.array_index == 0)
inside.finish(
    untouched=untouched,
    summary=earlier.find(collection).summary,
    key=curve.keyframe_points[1].co.y,
    before=before,
    curves=inside.curves(layers[1]),
    actions=[actions, len(bpy.data.actions)],
)
