# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job as an older version did, again with an id, and again after its folder was moved; then another job."""

import shutil
from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
imported = inside.module("imported")
folder, moved = Path(given["job"]), Path(given["moved"])


def import_layers(path: Path) -> Any:
    bpy.ops.smalti.import_layers(folder=str(path))
    found = [c for c in bpy.data.collections if "smalti_root" in c]
    marks = {item["smalti_job"] for item in (*found, *imported.data_of(path))}
    return [len(found), sum(o.type == 'MESH' for c in found for o in c.all_objects), sorted(marks)]


result = {}
shutil.copy(given["older"], folder / "composition.json")
result["older"] = import_layers(folder)
shutil.copy(given["newer"], folder / "composition.json")
result["again"] = import_layers(folder)
bpy.ops.wm.save_as_mainfile(filepath=str(folder.parent / "scene.blend"))
imported._ids.clear()
result["found"] = imported.find_collection(bpy.context.scene, folder) is not None
shutil.move(folder, moved)
result["moved"] = import_layers(moved)
result["folders"] = [str(path) for path in imported.folders(bpy.context.scene)]
result["other"] = import_layers(Path(given["other"]))
inside.finish(**result)
