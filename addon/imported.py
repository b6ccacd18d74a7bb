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
LAYERS_WRITTEN = "smalti_written_layers"  # where there is a mosaic of layers: what `earlier.WRITTEN` said of them
MOSAIC = "smalti_mosaic"  # on the collection: the object that is all sprites
REDUCED = "smalti_reduced"  # whether its materials sample bitmaps that the engine has reduced

_ASIDE = " (earlier)"
_LONGEST_NAME = 63 - len(_ASIDE.encode())


def find_collection(scene: Any, folder: Path) -> Any | None:
    """The collection of `scene` that holds the layers of the job `folder`, or None."""
    return next((c for c in scene.collection.children_recursive if c.get(JOB) == str(folder)), None)


def imported_collections(scene: Any) -> list[Any]:
    """All collections of `scene` that hold layers."""
    return [c for c in scene.collection.children_recursive if JOB in c]


def folders(scene: Any) -> list[Path]:
    """The job folders of what was imported into a scene, where they were then."""
    return [Path(c[JOB]) for c in imported_collections(scene)]


def mark(item: Any, folder: Path) -> Any:
    """Let a data-block carry the job that it was made from; returns it."""
    item[JOB] = str(folder)
    return item


def data_of(folder: Path) -> list[Any]:
    """The meshes, materials, pictures and so on that imports of this job have made."""
    groups = (bpy.data.meshes, bpy.data.cameras, bpy.data.materials, bpy.data.node_groups, bpy.data.images)
    return [item for group in groups for item in group if item.get(JOB) == str(folder)]


def set_aside(items: list[Any]) -> None:
    """Let data-blocks give up their names to those that take their places."""
    for item in items:
        item.name = f"{item.name[:_LONGEST_NAME]}{_ASIDE}"


def remove_unused(items: list[Any]) -> None:
    """Remove the data-blocks that nothing uses, and then what nothing but they have used."""
    left = items
    while unused := [item for item in left if item.users == 0]:
        left = [item for item in left if item.users]
        bpy.data.batch_remove(unused)
