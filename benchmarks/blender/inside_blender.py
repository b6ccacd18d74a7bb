# SPDX-License-Identifier: GPL-3.0-or-later
"""In a Blender: import each job as layers and as a mosaic, again, take it back, repeat it, convert it; CPU seconds."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "blender" / "scripts"))
import inside

FRAMES = 12  # of which the median is taken


def taken(work: Callable[[], Any]) -> float:
    """CPU seconds of `work`, and of bringing the scene up to date after it."""
    began = time.process_time()
    work()
    bpy.context.view_layer.update()
    return time.process_time() - began


def measured(job: str, **options: Any) -> dict[str, float]:
    """What one job takes."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.smalti.output = job
    bpy.ops.ed.undo_push(message="Before the import")

    def bring_in() -> None:
        bpy.ops.smalti.import_layers(**options)

    row = {"import": taken(bring_in), "again": taken(bring_in)}
    bpy.ops.ed.undo_push(message="After the import")
    row["undo"], row["redo"] = taken(bpy.ops.ed.undo), taken(bpy.ops.ed.redo)
    scene = bpy.context.scene
    if scene.frame_end > scene.frame_start and scene.frame_end < 250:
        frames = [scene.frame_start + 1 + number for number in range(FRAMES)]
        times = [taken(lambda frame=frame: scene.frame_set(frame)) for frame in frames]  # type: ignore[misc]
        row["frame ms"] = 1000 * statistics.median(times)
    if options["form"] == 'MOSAIC':
        row["to layers"] = taken(bpy.ops.smalti.convert_to_layers)
        row["to mosaic"] = taken(bpy.ops.smalti.convert_to_mosaic)
    return row


inside.enable()
jobs = [Path(job) for job in inside.arguments()["jobs"]]
rows = {f"{form.lower()}, {job.name}": measured(str(job), form=form) for form in ('LAYERS', 'MOSAIC') for job in jobs}
inside.finish(version=bpy.app.version_string, rows=rows)
