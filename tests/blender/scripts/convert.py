# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job as a mosaic, convert it to layers, change some, convert to a mosaic and back; tell what there is."""

import shutil
from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
imported, instances, earlier = (inside.module(name) for name in ("imported", "instances", "earlier"))
scene = bpy.context.scene
scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(form='MOSAIC', camera=True, key_tolerance=0.0, first_frame=5)
collection = imported.find_collection(scene, Path(given["job"]))
mosaic = instances.find(collection)
if given.get("frame"):
    scene.frame_set(given["frame"])
pictures = given["pictures"]
inside.render(pictures[0])


def points() -> Any:
    """All that is known of the sprites of the mosaic."""
    found = instances.read(instances.find(collection))
    placed = found.placed
    return {
        "location": placed.location.tolist(),
        "rotation": placed.rotation.tolist(),
        "scale": placed.scale.tolist(),
        "color": placed.colour.tolist(),
        "height": placed.height.tolist(),
        "tilt": found.rotation.tolist(),
        "layer": found.layer.tolist(),
        "frames": found.frames.tolist(),
    }


def layers() -> Any:
    """The layers, bottom first."""
    return sorted((o for o in collection.objects if o.get(earlier.RANK, 0) > 0), key=lambda o: o.location.z)


def converted(form: Any) -> Any:
    """Convert, while the job's folder is away."""
    moved = shutil.move(given["job"], given["job"] + " away")
    getattr(bpy.ops.smalti, f"convert_to_{form.lower()}")()
    shutil.move(moved, given["job"])


first = points()
assert bpy.ops.smalti.convert_to_mosaic.poll() is False
converted('LAYERS')
told = {
    "objects": len(collection.objects),
    "curves": [inside.curves(o) for o in layers()],
    "names": [o.name for o in layers()],
}
left = [m.name for m in bpy.data.meshes if m.users == 0]
inside.render(pictures[1])
assert bpy.ops.smalti.convert_to_layers.poll() is False
converted('MOSAIC')
second = points()
inside.render(pictures[2])
told["after"] = [len(collection.objects), len(bpy.data.actions), [o.name for o in bpy.data.objects if o.users == 0]]

converted('LAYERS')
one, two, three, four = layers()[:4]
one.location.z = 0.5
two.rotation_euler.x = 0.5
three.color = (1, 0, 0, 1)
bpy.data.objects.remove(four)
if given.get("frame"):
    three.animation_data_clear()
    three.color = (1, 0, 0, 1)
inside.render(pictures[3])
converted('MOSAIC')
third = points()
inside.render(pictures[4])
converted('LAYERS')
standing = earlier.find(collection)
inside.finish(
    points=[first, second, third],
    told=told,
    changed=sorted(standing.changed),
    deleted=sorted(standing.deleted),
    left=left,
)
