# SPDX-License-Identifier: GPL-3.0-or-later
"""What imports have left in a scene: finding it again, and taking it away.

Everything that an import makes lies in one collection, and its mesh, materials and pictures carry as a property which
job they are of, so that the next import of the same job finds exactly them, wherever its folder is then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

JOB = "smalti_job"  # on data: the id of the job that it was made from; of one without an id its folder
FOLDER = "smalti_folder"  # on the collection: where the job's folder was then
BLEND_SPACE = "smalti_blend_space"  # on the collection, like all below
CANVAS = "smalti_canvas"
TRANSPARENT = "smalti_transparent"
DEPTH = "smalti_depth"
LAYERS_WRITTEN = "smalti_written_layers"  # where there is a mosaic of layers: what `earlier.WRITTEN` said of them
MOSAIC = "smalti_mosaic"  # on the collection: the object that is all sprites
REDUCED = "smalti_reduced"  # whether its materials sample bitmaps that the engine has reduced

_ASIDE = " (earlier)"
_LONGEST_NAME = 63 - len(_ASIDE.encode())


_ids: dict[Path, str] = {}  # of job folders that have been imported from


def know(folder: Path, job_id: str) -> None:
    """Say which job is in a folder, as its composition says; an empty id where it does not say."""
    _ids[folder] = job_id


def _marks(folder: Path) -> tuple[str, ...]:
    """What data of the job in a folder carries: its id, where it is known, and in older files the folder."""
    if folder not in _ids:  # imported in another session
        there = (c for c in bpy.data.collections if c.get(FOLDER) == str(folder) and JOB in c)
        _ids[folder] = next((c[JOB] for c in there), "")
    return tuple(filter(None, (_ids[folder], str(folder))))


def find_collection(scene: Any, folder: Path) -> Any | None:
    """The collection of `scene` that holds the layers of the job in `folder`, or None. Reads no file."""
    found = {c.get(JOB): c for c in reversed(scene.collection.children_recursive)}
    return next((found[mark] for mark in _marks(folder) if mark in found), None)


def imported_collections(scene: Any) -> list[Any]:
    """All collections of `scene` that hold layers."""
    return [c for c in scene.collection.children_recursive if JOB in c]


def folders(scene: Any) -> list[Path]:
    """The job folders of what was imported into a scene, where they were then."""
    return [Path(c.get(FOLDER, c[JOB])) for c in imported_collections(scene)]


def mark(item: Any, folder: Path) -> Any:
    """Let a data-block carry the job that it was made from; returns it."""
    item[JOB] = _marks(folder)[0]
    if isinstance(item, bpy.types.Collection) and folder.is_absolute():
        item[FOLDER] = str(folder)
    return item


def data_of(folder: Path) -> list[Any]:
    """The meshes, materials, pictures and so on that imports of this job have made."""
    groups = (bpy.data.meshes, bpy.data.cameras, bpy.data.materials, bpy.data.node_groups, bpy.data.images)
    marks = _marks(folder)
    return [item for group in groups for item in group if item.get(JOB) in marks]


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
