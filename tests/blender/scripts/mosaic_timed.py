# SPDX-License-Identifier: GPL-3.0-or-later
"""Import jobs as mosaics, take the first back, and play the second; CPU seconds of Blender's own thread."""

import statistics
import time
from typing import Any

import bpy
import inside

still, film = inside.arguments()["jobs"]
inside.enable()
bpy.ops.ed.undo_push(message="Before")


def taken(work: Any) -> Any:
    """CPU seconds of `work` and of bringing the scene up to date."""
    began = time.thread_time()
    work()
    bpy.context.view_layer.update()
    return time.thread_time() - began


seconds = {}
bpy.context.scene.smalti.output = still
seconds["still"] = taken(lambda: bpy.ops.smalti.import_layers(form='MOSAIC'))
bpy.ops.ed.undo_push(message="After")
seconds["undo"] = taken(bpy.ops.ed.undo)
seconds["redo"] = taken(bpy.ops.ed.redo)
bpy.context.scene.smalti.output = film
seconds["film"] = taken(lambda: bpy.ops.smalti.import_layers(form='MOSAIC'))
scene = bpy.context.scene
times = []
for frame in range(1, 51):
    began = time.thread_time()
    scene.frame_set(frame)
    times.append(time.thread_time() - began)
inside.finish(seconds=seconds, frame=statistics.median(times))
