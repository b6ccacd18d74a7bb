# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a film with few keys as layers and as a mosaic; change a key and import again; convert; tell what there is."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, earlier, instances, compat = (inside.module(n) for n in ("imported", "earlier", "instances", "compat"))
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(camera=True, key_tolerance=given["tolerance"])
collection = imported.find_collection(scene, Path(given["job"]))


def layers() -> Any:
    """The layers, by rank."""
    found = {item.get(earlier.RANK, 0): item for item in collection.all_objects}
    return [found[rank] for rank in sorted(found) if rank]


def kinds() -> Any:
    """The interpolation of every key of each layer's places."""
    return [
        [
            point.interpolation
            for curve in compat.curves_of(item)
            if curve.data_path == "location"
            for point in curve.keyframe_points
        ]
        if item.animation_data
        else []
        for item in layers()
    ]


def states(frames: Any) -> Any:
    """Where the layers are, and how they are colored, in some frames."""
    said = []
    for frame in frames:
        scene.frame_set(int(frame), subframe=frame % 1)
        said.append([[*o.location[:2], o.rotation_euler[2], *o.scale[:2], *o.color] for o in layers()])
    return said


result: dict[str, Any] = {"curves": [inside.curves(o) for o in layers()], "kinds": kinds()}
result["states"] = states(given["frames"])
for frame, path in given.get("renders", []):
    inside.render(path, frame, samples=given.get("samples", 64))
changed = next(o for o in layers() if o.animation_data)
name = changed.name
point = compat.curves_of(changed)[0].keyframe_points[0]
point.co.y = 7
result["summary"] = earlier.find(collection).summary
bpy.ops.smalti.import_layers(key_tolerance=given["tolerance"])
result["summary_again"] = earlier.find(collection).summary
result["kept"] = compat.curves_of(bpy.data.objects[name])[0].keyframe_points[0].co.y
bpy.ops.smalti.import_layers(form='MOSAIC', key_tolerance=given["tolerance"], changes='REPLACE')
for frame, path in given.get("mosaic_renders", []):
    inside.render(path, frame, samples=given.get("samples", 64))
bpy.ops.smalti.convert_to_layers()
result["converted"] = [inside.curves(o) for o in layers()]
result["converted_states"] = states(given["frames"])
bpy.ops.smalti.convert_to_mosaic()
mosaic = instances.read(instances.find(collection)).placed
result["back"] = [mosaic.location.tolist(), mosaic.rotation.tolist(), mosaic.colour.tolist()]
inside.finish(**result)
