# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands from an earlier import, and what the artist has changed of it.

An import writes down, on its collection, the values that it gave to each layer. The next import of the job compares
them with what is there now: layers that still have them are brought up to date, and those that were changed stay.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from . import compat
from .imported import JOB

RANK = "smalti_rank"  # on an object: 0 the background, 1 the lowest sprite
WRITTEN = "smalti_written"  # on the collection: float32 [layers, 13] as bytes, the row of a layer being its rank
KEYS = "smalti_keys"  # on an action: the checksum of the keys that were written
VALUES = (("location", 3), ("rotation_euler", 3), ("scale", 3), ("color", 4))
"""The properties that are compared, in the order in which a row has them, and how many numbers each is."""
WIDTH = sum(count for _, count in VALUES)


@dataclass(frozen=True)
class Earlier:
    """The layers of an earlier import.

    Attributes:
        objects: those that are there, by rank.
        changed: ranks of those that the artist moved, turned, scaled, recolored, keyed or gave another material.
        deleted: ranks of those that are gone, while others are there.
    """

    objects: dict[int, Any] = field(default_factory=dict)
    changed: frozenset[int] = frozenset()
    deleted: frozenset[int] = frozenset()

    @property
    def summary(self) -> str:
        """What the artist did: "2 layers were changed and 1 deleted"; empty where nothing."""
        said = []
        if self.changed:
            said.append(f"{len(self.changed):,} {'layer was' if len(self.changed) == 1 else 'layers were'} changed")
        if self.deleted and not said:
            said.append(f"{len(self.deleted):,} {'layer was' if len(self.deleted) == 1 else 'layers were'} deleted")
        elif self.deleted:
            said.append(f"{len(self.deleted):,} deleted")
        return " and ".join(said)


def remember(collection: Any, rows: Any) -> None:
    """Write down what an import gave to its layers.

    Args:
        collection: of the import.
        rows: float32 [layers, 13], in the order of `VALUES`; the background first.
    """
    if WRITTEN in collection:
        del collection[WRITTEN]  # Blender would write over bytes as if they were text, and stop at the first zero
    collection[WRITTEN] = np.ascontiguousarray(rows, np.float32).tobytes()


def find(collection: Any) -> Earlier:
    """Look at what stands in a collection. A copy that the artist made of a layer is none: it is the artist's own."""
    written = collection.get(WRITTEN)
    if not isinstance(written, bytes):  # nothing was imported, or by a version that did not write it down
        return Earlier()
    rows = np.frombuffer(written, np.float32).reshape(-1, WIDTH)
    items, now = values_inside(collection)
    ranks = [item.get(RANK, -1) for item in items]
    known = [place for place, rank in enumerate(ranks) if 0 <= rank < len(rows)]
    moved = dict(zip(known, (now[known] != rows[[ranks[place] for place in known]]).any(1).tolist()))
    objects: dict[int, Any] = {}
    places: dict[int, int] = {}
    for place in known:
        rank, item = ranks[place], items[place]
        # Of a layer and its copies, the one that is where it was put, or else has the first name.
        if rank not in objects or (moved[place], item.name) < (moved[places[rank]], objects[rank].name):
            objects[rank], places[rank] = item, place
    ours = _Ours()
    changed = frozenset(r for r, item in objects.items() if _is_changed(item, moved[places[r]], ours))
    made = np.flatnonzero(rows[:, 6]).tolist()  # by their width: a transparent background has a row, and no layer
    gone = frozenset(made) - objects.keys() if objects else frozenset()
    return Earlier(objects, changed, gone)


def values_inside(collection: Any) -> tuple[list[Any], Any]:
    """All objects in a collection and those in it, and their values, float32 [objects, 13] in the order of `VALUES`."""
    items: list[Any] = []
    rows: list[Any] = []
    # Not `all_objects`, for which Blender compares each with each.
    for each in (collection, *collection.children_recursive):
        columns = []
        for name, count in VALUES:
            values = np.empty(len(each.objects) * count, np.float32)
            each.objects.foreach_get(name, values)
            columns.append(values.reshape(-1, count))
        items += each.objects.values()
        rows.append(np.concatenate(columns, 1))
    return items, np.concatenate(rows)


class _Ours:
    """Which data-blocks an import made; asks each of them once."""

    def __init__(self) -> None:
        self._known: dict[Any, bool] = {}

    def __call__(self, item: Any) -> bool:
        if item is None:
            return False
        if item not in self._known:
            self._known[item] = JOB in item
        return self._known[item]


def _is_changed(item: Any, other_values: bool, ours: _Ours) -> bool:
    if not (ours(item.data) and ours(item.active_material)):
        return True
    animation = item.animation_data
    if animation is None or animation.action is None:
        # A layer whose keys were taken away stays where it was put; one with keys has the values of the current frame.
        return other_values or animation is not None
    return bool(animation.action.get(KEYS) != checksum(compat.curves_of(item)))


def checksum(curves: Iterable[Any]) -> str:
    """A text that stands for all keys of F-curves: where they are, and how they are interpolated."""
    total = 0
    for curve in curves:
        points = curve.keyframe_points
        places, kinds = np.empty(2 * len(points), np.float32), np.empty(len(points), np.int32)
        points.foreach_get("co", places)
        points.foreach_get("interpolation", kinds)
        for part in (f"{curve.data_path}[{curve.array_index}]".encode(), places.tobytes(), kinds.tobytes()):
            total = zlib.crc32(part, total)
    return f"{total:08x}"


def without_changes(standing: Earlier) -> Earlier:
    """Take the layers away that were changed, so that all are to be as the import makes them; returns the others.

    Those that were not changed are brought up to date, as before: to remove thousands of objects takes Blender long.
    """
    remove(standing.objects[rank] for rank in standing.changed)
    return Earlier({rank: item for rank, item in standing.objects.items() if rank not in standing.changed})


def remove(layers: Iterable[Any]) -> None:
    """Take layers away, with their keys."""
    gone = list(layers)
    actions = {item.animation_data.action for item in gone if item.animation_data and item.animation_data.action}
    bpy.data.batch_remove(gone)
    bpy.data.batch_remove([action for action in actions if action.users == 0])
