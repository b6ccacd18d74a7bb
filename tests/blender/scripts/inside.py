# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scripts share that run inside Blender."""

import importlib
import json
import sys
import time
from typing import Any

import bpy

MODULE = "bl_ext.user_default.smalti"

SAMPLES = 16  # of a pixel, which show the colors of bitmaps that are not reduced within 50 dB


def arguments() -> Any:
    """What the test handed over."""
    return json.loads(sys.argv[-1])


def finish(**result: Any) -> None:
    """Hand a result to the test."""
    print("\nSMALTI_RESULT " + json.dumps(result, default=str), flush=True)


def enable(python: Any = None) -> None:
    """Enable the installed extension in an empty scene, with `python` as the engine's Python."""
    if bpy.app.background:
        bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.preferences.addon_enable(module=MODULE)
    if python is not None:
        bpy.context.preferences.addons[MODULE].preferences.engine_python = python


def module(name: Any) -> Any:
    """A module of the extension."""
    return importlib.import_module(f"{MODULE}.{name}")


def wait(condition: Any, seconds: float = 120.0) -> Any:
    """Step the engine's timer, which has no event loop here, until `condition()`. Returns the seconds that it took."""
    session = module("session")
    began = time.monotonic()
    while not condition():
        if time.monotonic() > began + seconds:
            raise TimeoutError(f"task {session.task}, outcome {session.outcome}")
        session.tick()
        time.sleep(0.02)
    return time.monotonic() - began


def wait_for_end(seconds: float = 120.0) -> Any:
    """Wait for the end of the task; returns how it ended."""
    session = module("session")
    wait(lambda: session.task is None, seconds)
    return session.outcome


def render(path: Any, frame: Any = None, samples: int = SAMPLES) -> None:
    """Match the scene to the imported composition and render it with Cycles into `path`."""
    scene = bpy.context.scene
    scene.render.engine = 'CYCLES'
    bpy.ops.smalti.match_colours()
    scene.cycles.samples = samples
    scene.cycles.use_adaptive_sampling = False
    scene.render.filepath = str(path)
    scene.render.image_settings.file_format = 'PNG'
    scene.render.image_settings.color_mode = 'RGBA'
    if frame is not None:
        scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)


def curves(item: Any) -> Any:
    """F-curves of an object: "data_path[index]" -> its keys as [[frame, value], ...]."""
    if not item.animation_data or not item.animation_data.action:
        return {}
    action = item.animation_data.action
    if bpy.app.version < (4, 4, 0):
        found = action.fcurves
    else:
        slot = item.animation_data.action_slot
        found = [c for layer in action.layers for strip in layer.strips for c in strip.channelbag(slot).fcurves]
    return {f"{c.data_path}[{c.array_index}]": [list(k.co) for k in c.keyframe_points] for c in found}


def set_up(settings: Any) -> None:
    """Set properties of the scene's settings; "regions" is a list of those of each."""
    for name, value in settings.items():
        if name == "regions":
            add_regions(value)
        else:
            setattr(bpy.context.scene.smalti, name, value)


def add_regions(regions: Any) -> None:
    """Press the button that adds a region for each of `regions`, and set its properties."""
    for region in regions:
        bpy.ops.smalti.add_region()
        for name, value in region.items():
            setattr(bpy.context.scene.smalti.regions[-1], name, value)
