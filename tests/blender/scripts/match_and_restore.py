# SPDX-License-Identifier: GPL-3.0-or-later
"""Match a scene to an import twice, change one of its settings, and restore the others."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, view = inside.module("imported"), inside.module("view")
scene.view_settings.exposure = 1.5
scene.render.filter_size = 2.5
scene.render.resolution_x, scene.render.resolution_y = 800, 600
scene.smalti.output = given["job"]


def values() -> Any:
    collection = imported.find_collection(scene, Path(given["job"]))
    return {f"{each.group}.{each.name}": each.now for each in view.settings(scene, collection)}


bpy.ops.smalti.import_layers()
before = values()
bpy.ops.smalti.import_layers(colors=True)
bpy.ops.smalti.match_colours()
matched = values()
scene.view_settings.gamma = 1.25
bpy.ops.smalti.restore_settings()
after = values()
inside.finish(before=before, matched=matched, after=after, again=bpy.ops.smalti.restore_settings.poll())
