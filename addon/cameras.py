# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that sees exactly the canvas of an imported composition."""

from __future__ import annotations

from typing import Any

import bpy

from .composition import Composition
from .imported import JOB, mark

_WRITTEN = "smalti_camera"  # on a camera's data: the size of what it sees and the height at which it was put


def find(collection: Any) -> Any | None:
    """The camera of an earlier import, or None."""
    inside = (item for each in (collection, *collection.children_recursive) for item in each.objects)
    return next((item for item in inside if item.type == 'CAMERA' and JOB in item.data), None)


def add(composition: Composition, collection: Any, longer_side: float, top: float) -> Any:
    """An orthographic camera that looks straight down and sees exactly the canvas.

    One of an earlier import is taken, where it was put; if it was not touched, it is brought up to date.

    Args:
        composition: whose canvas.
        collection: of the import.
        longer_side: of the canvas, in Blender units.
        top: height of the highest layer, in Blender units.
    """
    name = f"{composition.name} Camera"
    camera = find(collection)
    if camera is None:
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    elif list(camera.data.get(_WRITTEN, ())) != [camera.data.ortho_scale, camera.location.z]:
        return camera
    data = mark(camera.data, composition.folder)
    data.type, data.ortho_scale = 'ORTHO', longer_side
    data.passepartout_alpha = 1.0  # sprites reach over the edge of the canvas, and are not part of the picture there
    data.clip_start, data.clip_end = longer_side / 100, top + 2 * longer_side
    camera.location.z = top + longer_side
    data[_WRITTEN] = [data.ortho_scale, camera.location.z]
    return camera
