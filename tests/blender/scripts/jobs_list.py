# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of jobs and what can be done with one: duplicate, settings into the panel, import, remove; no engine."""

from pathlib import Path
from typing import Any

import bpy
import drawing
import inside

folder = Path(inside.arguments()["folder"])
inside.enable("/nowhere/python")
jobs = inside.module("jobs")
schema, job = inside.module("bridge.schema"), inside.module("job")
settings = bpy.context.scene.smalti


def listed() -> Any:
    """What the panel's list says, and how far each job is."""
    drawing.drawn()
    drawing.drawn()
    found = [Path(item.folder) for item in bpy.context.window_manager.smalti_jobs]
    return {path.name: jobs.state(path) for path in found if path.parent == folder / "smalti"}


def said(call: Any, **arguments: Any) -> Any:
    try:
        call(**arguments)
    except RuntimeError as fault:
        return str(fault).strip()
    return ""


bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
result: dict[str, Any] = {"first": listed()}
result["labels"] = drawing.drawn()
bpy.ops.smalti.duplicate_job(folder=str(folder / "smalti" / "cat"))
result["duplicated"] = listed()
result["chosen"] = jobs.chosen().name
settings.output = "//smalti/cat"
bpy.ops.smalti.take_settings(folder=str(folder / "smalti" / "cat"))
result["taken"] = schema.to_mapping(job.job_of(settings))
result["path"], result["output"] = settings.target, settings.output
bpy.ops.smalti.take_settings(folder=str(folder / "smalti" / "odd"))
result["odd"] = schema.to_mapping(job.job_of(settings))
bpy.ops.smalti.import_layers(folder=str(folder / "smalti" / "cat"))
result["imported"] = [c.name for c in bpy.data.collections if "smalti_job" in c]
result["no job"] = [
    said(getattr(bpy.ops.smalti, name), folder=str(folder / "smalti" / "notes"))
    for name in ("duplicate_job", "take_settings", "remove_job", "import_layers")
]
result["begun"] = said(bpy.ops.smalti.run_job, folder=str(folder / "smalti" / "cat"))
bpy.ops.smalti.remove_job(folder=str(folder / "smalti" / "cat 2"))
bpy.ops.smalti.remove_job(folder=str(folder / "smalti" / "cat"))
result["removed"] = listed()
bpy.ops.wm.read_homefile(use_empty=True)
result["another file"] = listed()
inside.finish(**result)
