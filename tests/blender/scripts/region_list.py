# SPDX-License-Identifier: GPL-3.0-or-later
"""Work the list of regions; save the file and open it again; say what is in the list, and the job that follows."""

from typing import Any

import bpy
import drawing
import inside

given = inside.arguments()
inside.enable("")
result = {}


def listed() -> Any:
    settings = bpy.context.scene.smalti
    return [region.name for region in settings.regions], settings.region_index


inside.set_up(given["settings"])
faults, result["labels"] = drawing.drawn()
result["added"] = listed()
bpy.ops.smalti.move_region(direction='DOWN')
result["moved down from the end"] = listed()
for _ in range(3):
    bpy.ops.smalti.move_region(direction='UP')
result["moved up beyond the beginning"] = listed()
bpy.ops.wm.save_as_mainfile(filepath=given["file"])
bpy.ops.wm.read_homefile(use_empty=True)
result["new file"] = listed()
bpy.ops.wm.open_mainfile(filepath=given["file"])
result["opened again"] = listed()
job, schema = inside.module("job"), inside.module("bridge.schema")
result["job"] = schema.to_mapping(job.job_of(bpy.context.scene.smalti))
settings = bpy.context.scene.smalti
settings.region_index = 2
bpy.ops.smalti.remove_region()
result["last removed"] = listed()
settings.region_index = 0
bpy.ops.smalti.remove_region()
result["first removed"] = listed()
bpy.ops.smalti.remove_region()
result["all removed"] = listed()
inside.add_regions([{}] * given["most"])
result["most"] = len(settings.regions)
try:
    bpy.ops.smalti.add_region()
except RuntimeError as fault:
    result["one too many"] = str(fault)
more, labels = drawing.drawn()
result["unmasked"] = labels.count("No mask")
inside.finish(**result, drawing=faults + more)
