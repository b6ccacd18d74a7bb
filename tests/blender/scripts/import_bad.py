# SPDX-License-Identifier: GPL-3.0-or-later
"""Import damaged jobs, one after another; say for each what Blender reports and what was left in the file."""

from typing import Any

import bpy
import inside

KINDS = ("collections", "objects", "meshes", "materials", "images", "actions", "node_groups")


def held() -> Any:
    return {(kind, item.name) for kind in KINDS for item in getattr(bpy.data, kind)}


inside.enable()
before = held()
told = []
for job in inside.arguments()["jobs"]:
    message = ""
    try:
        bpy.context.scene.smalti.output = job
        bpy.ops.smalti.import_layers()
    except RuntimeError as fault:
        message = str(fault)
    told.append({"message": message, "left": sorted(held() - before)})
inside.finish(told=told)
