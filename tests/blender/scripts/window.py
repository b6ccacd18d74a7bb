# SPDX-License-Identifier: GPL-3.0-or-later
"""In a Blender with a window, where timers and undo work by themselves: import, undo, redo; fit; leave in mid-job.

A generator whose values are pauses in seconds, stepped by a timer as long as Blender runs.
"""

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, os.path.dirname(__file__))
import inside

given = inside.arguments()
LIMIT = 480  # seconds after which nobody waits any more
KINDS = ("objects", "meshes", "materials", "images", "collections", "node_groups", "cameras")


def counts() -> Any:
    return {kind: len(getattr(bpy.data, kind)) for kind in KINDS}


def in_view() -> Any:
    """A context as if the mouse were over the 3D view."""
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')
    region = next(r for r in area.regions if r.type == 'WINDOW')
    return bpy.context.temp_override(window=window, area=area, region=region)


def steps() -> Any:
    session = inside.module("session")
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')
    area.spaces[0].show_region_ui = True
    yield 1.0
    next(r for r in area.regions if r.type == 'UI').active_panel_category = "Smalti"
    yield 1.0

    result = {}
    bpy.context.scene.smalti.output = given["job"]
    with in_view():
        bpy.ops.ed.undo_push(message="Before the import")
    result["before"] = counts()
    for name, call in (
        ("imported", lambda: bpy.ops.smalti.import_layers('INVOKE_DEFAULT', True, camera=True)),
        ("undone", bpy.ops.ed.undo),
        ("redone", bpy.ops.ed.redo),
    ):
        with in_view():
            call()
        yield 0.5
        result[name] = counts()

    add, remove = bpy.ops.smalti.add_region, bpy.ops.smalti.remove_region
    undo, redo = bpy.ops.ed.undo, bpy.ops.ed.redo
    result["regions"] = []
    for call in (add, add, remove, undo, redo, undo, undo, undo):
        with in_view():
            call('INVOKE_DEFAULT', True)
        yield 0.5
        result["regions"].append(len(bpy.context.scene.smalti.regions))

    inside.set_up(given["settings"])
    with in_view():
        bpy.ops.smalti.fit()
    while session.task and session.task.done < 20:
        yield 0.1
    bpy.ops.wm.read_homefile()
    yield 0.5
    seen = session.task.done if session.task else 0
    yield 2.0
    result["went_on"] = bool(session.task) and session.task.done > seen
    result["output"] = bpy.context.scene.smalti.output
    result["engine"] = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    inside.finish(**result)
    if given["end"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    bpy.ops.wm.quit_blender()


def step() -> Any:
    try:
        if time.monotonic() > began + LIMIT:
            raise TimeoutError
        return next(running)
    except StopIteration:
        return None
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


inside.enable(os.environ.get("SMALTI_PYTHON"))
running, began = steps(), time.monotonic()
bpy.app.timers.register(step, first_interval=1.0, persistent=True)
