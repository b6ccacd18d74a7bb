# SPDX-License-Identifier: GPL-3.0-or-later
"""What imports have left in a scene: finding it again, and taking it away.

Everything that an import makes lies in one collection, and its mesh, materials and pictures carry the job's folder as a
property, so that the next import of the same job finds exactly them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

JOB = "smalti_job"  # on data: the job folder that it was made from
BLEND_SPACE = "smalti_blend_space"  # on the collection, like all below
CANVAS = "smalti_canvas"
TRANSPARENT = "smalti_transparent"
DEPTH = "smalti_depth"


def find_collection(scene: Any, folder: Path) -> Any | None:
    """The collection of `scene` that holds the layers of the job `folder`, or None."""
    return next((c for c in scene.collection.children_recursive if c.get(JOB) == str(folder)), None)


def imported_collections(scene: Any) -> list[Any]:
    """All collections of `scene` that hold layers."""
    return [c for c in scene.collection.children_recursive if JOB in c]


def mark(item: Any, folder: Path) -> Any:
    """Let a data-block carry the job that it was made from; returns it."""
    item[JOB] = str(folder)
    return item


def remove_layers(collection: Any, folder: Path) -> None:
    """Take away what an earlier import of this job made; the artist's own objects in the collection stay."""
    mine = [o for o in collection.objects if o.data is not None and o.data.get(JOB) == str(folder)]
    actions = {o.animation_data.action for o in mine if o.animation_data and o.animation_data.action}
    bpy.data.batch_remove(mine)
    bpy.data.batch_remove([action for action in actions if action.users == 0])
    for group in (bpy.data.meshes, bpy.data.cameras, bpy.data.materials, bpy.data.node_groups, bpy.data.images):
        bpy.data.batch_remove([item for item in group if item.users == 0 and item.get(JOB) == str(folder)])
