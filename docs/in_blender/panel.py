# SPDX-License-Identifier: GPL-3.0-or-later
"""In a Blender with a window: fit the lighthouse out of leaves, import it, and show it beside the panel.

Prints DONE and the name of what is to be photographed: "blender", and then "depth" with the leaves apart. Each
stays as it is until its photograph is in the folder.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Quaternion

given = json.loads(sys.argv[-1])
MODULE = "bl_ext.user_default.smalti"


def area() -> Any:
    """The 3D viewport."""
    return next(each for each in bpy.context.window_manager.windows[0].screen.areas if each.type == 'VIEW_3D')


def in_view() -> Any:
    """A context as if the mouse were over the 3D viewport."""
    region = next(each for each in area().regions if each.type == 'WINDOW')
    return bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area(), region=region)


def photographed(name: str) -> Any:
    """Pauses until there is the photograph."""
    yield 2.0
    print(f"DONE {name}", flush=True)
    while not (Path(given["folder"]) / f"{name}.png").exists():
        yield 0.5


def steps() -> Any:
    """A generator whose values are pauses in seconds."""
    settings = bpy.context.scene.smalti
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(given["folder"]) / "lighthouse.blend"))
    area().spaces[0].show_region_ui = True
    yield 1.0
    next(each for each in area().regions if each.type == 'UI').active_panel_category = "Smalti"
    settings.look = 'COLLAGE'
    for name, value in given["settings"].items():
        setattr(settings, name, value)
    yield 3.0
    with in_view():
        bpy.ops.smalti.fit()
    session = sys.modules[f"{MODULE}.session"]
    while session.task:
        yield 0.2
    with in_view():
        bpy.ops.smalti.import_layers('INVOKE_DEFAULT', True, camera=True, colors=True)
    yield from photographed("blender")
    root = next(each for each in bpy.data.objects if each.type == 'EMPTY')
    root.scale.z *= 12
    area().spaces[0].show_region_ui = False
    view = area().spaces[0].region_3d
    view.view_perspective = 'PERSP'
    view.view_rotation = Quaternion((0, 0, 1), math.radians(-38)) @ Quaternion((1, 0, 0), math.radians(84))
    yield from photographed("depth")


running = steps()


def step() -> Any:
    """Go on, or quit."""
    try:
        return next(running)
    except StopIteration:
        bpy.ops.wm.quit_blender()
    return None


bpy.context.preferences.view.show_splash = False
bpy.ops.preferences.addon_enable(module=MODULE)
bpy.app.timers.register(step, first_interval=2.0, persistent=True)
