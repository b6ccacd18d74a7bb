# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job, add an object to its collection, import it again, and then another job of the same name."""

from typing import Any

import bpy
import inside

KINDS = ("objects", "meshes", "materials", "images", "actions", "node_groups", "cameras")


def counts() -> Any:
    return {kind: len(getattr(bpy.data, kind)) for kind in KINDS}


def import_layers(job: Any, **options: Any) -> Any:
    bpy.context.scene.smalti.output = job
    bpy.ops.smalti.import_layers(**options)


given = inside.arguments()
inside.enable()
import_layers(given["job"], camera=True)
bpy.data.collections["job"].objects.link(bpy.data.objects.new("Mine", None))
first = counts()
import_layers(given["job"], camera=True)
second = counts()
kept = "Mine" in bpy.data.collections["job"].objects
import_layers(given["other"])
names = sorted(c.name for c in bpy.data.collections if "smalti_job" in c)
inside.finish(first=first, second=second, kept=kept, collections=names)
