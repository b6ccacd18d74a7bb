# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pictures in by every way: drops, sequences, images of Blender, selected objects, the camera's render."""

import os
from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
folder = Path(given["folder"])
inside.enable("")
scene = bpy.context.scene
settings = scene.smalti
result: dict[str, Any] = {}


def attempted(call: Any, *which: str, **more: Any) -> Any:
    """The properties of the panel after an operator, or what it said."""
    try:
        call(**more)
    except RuntimeError as fault:
        return str(fault).strip()
    return [os.path.relpath(bpy.path.abspath(getattr(settings, name)), folder) for name in which]


def drop(name: str, *files: str, directory: Any = folder) -> Any:
    kind = "target" if name == "target" else "primitives"
    call = bpy.ops.smalti.drop_target if name == "target" else bpy.ops.smalti.drop_bitmaps
    return attempted(call, kind, directory=f"{directory}{os.sep}", files=[{"name": each} for each in files])


def shown(image: Any) -> Any:
    """What becomes of an image that the Image Editor shows, with its settings of sequences."""
    space.image = image
    with bpy.context.temp_override(screen=screen, area=area, space_data=space):
        return attempted(bpy.ops.smalti.image_as_target, "target")


bpy.ops.wm.save_as_mainfile(filepath=str(folder / "file.blend"))
result["target"] = drop("target", "photo.jpg")
result["frames of a folder"] = drop("target", "f_0002.png", "f_0001.png", "f_0003.png", directory=folder / "frames")
result["some frames"] = drop("target", "f_0001.png", "f_0002.png", directory=folder / "frames")
result["two pictures"] = drop("target", "photo.jpg", "other.png")
result["film"] = [*drop("target", "film.mp4"), settings.frame_rate]
result["film as bitmap"] = drop("bitmaps", "film.mp4")
result["films"] = drop("target", "film.mp4", "other.mp4")
result["bitmap"] = drop("bitmaps", "star.svg")
result["all of a folder"] = drop("bitmaps", *(f"f_000{n}.png" for n in (1, 2, 3)), directory=folder / "frames")
result["bitmaps"] = drop("bitmaps", "photo.jpg", "star.svg")
result["copied"] = sorted(each.name for each in Path(bpy.path.abspath(settings.primitives)).iterdir())
settings.target, settings.frame_rate = str(folder / "frames" / "f_0002.png"), 1
result["whole sequence"] = attempted(bpy.ops.smalti.use_frames, "target")
result["frame rate"] = settings.frame_rate
settings.target = str(folder / "photo.jpg")
result["no sequence"] = attempted(bpy.ops.smalti.use_frames, "target")
result["handlers"] = [
    sorted({".png", ".jpg", ".svg", ".mp4"} & set(getattr(bpy.types, name).bl_file_extensions.split(";")))
    for name in ("SMALTI_FH_target", "SMALTI_FH_bitmaps")
]

screen, area = next((s, a) for s in bpy.data.screens for a in s.areas if a.type == 'IMAGE_EDITOR')
space = area.spaces.active
result["saved image"] = shown(bpy.data.images.load(str(folder / "photo.jpg")))
result["pictures"] = []
for name, is_float, color_space, pixels in given["images"]:
    image = bpy.data.images.new(name, 2, 1, alpha=True, float_buffer=is_float)
    image.colorspace_settings.name = color_space
    image.pixels = pixels
    result["pictures"] += shown(image)
result["again"] = shown(image)
image.pixels = [0.0] * 8
result["changed"] = shown(image)
packed = bpy.data.images.load(str(folder / "other.png"))
packed.pack()
result["packed"] = shown(packed)
gone = bpy.data.images.load(str(folder / "gone.png"))
(folder / "gone.png").unlink()
result["missing file"] = shown(gone)
film = bpy.data.images.new("film", 4, 4)
film.source, film.filepath = 'MOVIE', str(folder / "film.mp4")
result["movie"] = shown(film)
frames = bpy.data.images.load(str(folder / "frames" / "f_0001.png"))
frames.source = 'SEQUENCE'
space.image = frames
space.image_user.frame_duration, space.image_user.frame_offset = 2, 1
result["sequence"] = shown(frames)
result["its frames"] = sorted(os.listdir(bpy.path.abspath(settings.target)))

# Selected objects: an image empty, a plane with a texture in a group of nodes, and one without.
bpy.ops.object.empty_add(type='IMAGE')
bpy.context.object.data = packed
material = bpy.data.materials.new("material")
tree = inside.module("compat").node_tree(material)
group = bpy.data.node_groups.new("group", 'ShaderNodeTree')
group.nodes.new('ShaderNodeTexImage').image = image
tree.nodes.new('ShaderNodeGroup').node_tree = group
bpy.ops.mesh.primitive_plane_add()
bpy.context.object.data.materials.append(material)
bpy.ops.object.light_add()
result["no images"] = attempted(bpy.ops.smalti.selected_as_bitmaps, "primitives")
bpy.ops.object.select_all(action='SELECT')
result["selected"] = attempted(bpy.ops.smalti.selected_as_bitmaps, "primitives")
result["selected images"] = sorted(os.listdir(bpy.path.abspath(settings.primitives)))

# The camera's render, without changing the scene.
result["no camera"] = attempted(bpy.ops.smalti.render_as_target, "target")
bpy.ops.object.select_all(action='SELECT')
bpy.ops.object.delete()
bpy.ops.mesh.primitive_plane_add(size=1)
bpy.ops.object.camera_add(location=(0, 0, 3))
scene.camera = bpy.context.object
scene.camera.name = "My Camera"
scene.render.engine, scene.render.film_transparent = 'CYCLES', True
scene.cycles.samples = 1
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 200, 100, 50
scene.render.filepath = "//mine"
scene.render.image_settings.file_format = 'OPEN_EXR'
settings.size = 64


def state() -> Any:
    render = scene.render
    names = [p.identifier for p in render.bl_rna.properties if not p.is_readonly]
    found = {n: str(getattr(render, n)) for n in names}
    images = render.image_settings
    names = [p.identifier for p in images.bl_rna.properties if not p.identifier.endswith("settings")]
    return found | {n: str(getattr(images, n)) for n in names}


before = state()
result["rendered"] = attempted(bpy.ops.smalti.render_as_target, "target")
result["rendered again"] = attempted(bpy.ops.smalti.render_as_target, "target")
space.image = next(each for each in bpy.data.images if each.type == 'RENDER_RESULT')
result["render result"] = shown(space.image)
result["scene changed"] = {n: [before[n], v] for n, v in state().items() if before[n] != v}
result["scenes"] = len(bpy.data.scenes)
inside.finish(**result)
