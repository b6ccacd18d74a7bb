# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job in several ways, change its surface and its bitmaps, and render it each time."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
imported = inside.module("imported")
out = Path(given["out"])
scene = bpy.context.scene


def add_light() -> None:
    """A white sky, under which a matte surface has its own color."""
    world = bpy.data.worlds.new("White")
    if world.node_tree is None:
        world.use_nodes = True
    sky = next(node for node in world.node_tree.nodes if node.bl_idname == 'ShaderNodeBackground')
    sky.inputs[0].default_value, sky.inputs[1].default_value = (1, 1, 1, 1), 1
    scene.world = world


def faces() -> Any:
    """Faces of the meshes of sprites, and how many meshes there are."""
    found = {o.data for o in bpy.data.objects if o.type == 'MESH' and o.data.polygons and "Background" not in o.name}
    return [len(found), sum(len(mesh.polygons) for mesh in found)]


scene.smalti.output = given["job"]
told = {}
for name, options in given["imports"].items():
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.smalti.output = given["job"]
    bpy.ops.smalti.import_layers(camera=True, **options)
    told[name] = faces()
    inside.render(out / f"{name}.png", 1, samples=2)
(collection,) = imported.imported_collections(scene)
bpy.ops.smalti.bitmap_size(full=True, collection=collection.name)
inside.render(out / "full.png", 1, samples=8)
bpy.ops.smalti.bitmap_size(full=False, collection=collection.name)
inside.render(out / "reduced.png", 1, samples=2)
collection.smalti_surface = 'LIT'
inside.render(out / "dark.png", 1, samples=2)
add_light()
scene.view_settings.view_transform = 'Standard'
scene.cycles.samples = 16
scene.render.filepath = str(out / "light.png")
bpy.ops.render.render(write_still=True)
bpy.ops.smalti.import_layers()
stays = collection.smalti_surface
collection.smalti_surface = 'EXACT'
inside.render(out / "exact.png", 1, samples=2)
for image in bpy.data.images:
    image.filepath = image.filepath.replace("job", "elsewhere")
try:
    bpy.ops.smalti.bitmap_size(full=True, collection=collection.name)
    missing = ""
except RuntimeError as fault:
    missing = str(fault)
inside.finish(faces=told, stays=stays, missing=missing)
