# SPDX-License-Identifier: GPL-3.0-or-later
"""The sprites of a composition as one object: a point for each, and geometry nodes that put its bitmap there.

The points are the vertices of a mesh, bottom first, with these attributes (README.md has those that artists read):

========  ======  =============================================================================================
position  vector  the center, in the units of the Empty; z is the height
center    vector  x and y in the first frame, as it was imported: a point that was moved differs from it
rotation  vector  Euler angles in radians
size      vector  half of width and height, and 1
tint      color   in the composition's blend space
opacity   float   0 to 1
rank      int     0 the lowest; also which keys of a film are the sprite's
depth     float   0 the lowest to 1 the highest, in even steps
bitmap    int     index of the bitmap in the composition
region    int     index of the region, -1 where there is none
letter    int     Unicode code point of the letter that the bitmap shows, -1 where it shows none
quad      int     index in the collection of quads, by their names
layer     int     the number of the sprite's layer, whatever the order is now
========  ======  =============================================================================================

The keys of a film are the vertices of a second mesh, of an object in no scene: all sprites of the first frame, then all
of the second, and so on. Their position is x, y and the angle about z; "size_opacity" and "tint" are vectors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from . import compat, mosaic_nodes
from .bridge.errors import SmaltiError
from .composition import Composition, Placed
from .imported import MOSAIC, mark
from .materials import OPACITY, SIZE, TINT
from .shading import BITMAP, LETTER, REGION

_GIVEN = "smalti_given"  # on the object: first frame and frame step as they were imported
FEW_KEYS = "smalti_few_keys"  # on the object: whether layers made of it are to have few keys
_KINDS = {
    **dict.fromkeys(("center", "rotation", SIZE), 'FLOAT_VECTOR'),
    TINT: 'FLOAT_COLOR',
    **dict.fromkeys((OPACITY, "depth"), 'FLOAT'),
    **dict.fromkeys(("rank", "bitmap", "region", "letter", "quad", "layer"), 'INT'),
}
_KEY_KINDS = dict.fromkeys(("size_opacity", TINT), 'FLOAT_VECTOR')
_FIELDS = {'FLOAT_VECTOR': ("vector", 3), 'FLOAT_COLOR': ("color", 4), 'FLOAT': ("value", 1), 'INT': ("value", 1)}


class Quad(NamedTuple):
    """What is put on the points of a bitmap: a mesh, and its material."""

    mesh: Any
    material: Any


@dataclass(frozen=True)
class Points:
    """The sprites of a mosaic, bottom first.

    Attributes:
        placed: where they are, [F, N]; `height` is that of the first frame.
        rotation: about x and y, radians [N, 2].
        thickness: the third number of their scale [N].
        quad: index of the quad of each [N].
        layer: the number of each sprite's layer [N].
        first, step: the scene frame of the first frame, and from one to the next; without meaning for a still.
    """

    placed: Placed
    rotation: Any
    thickness: Any
    quad: Any
    layer: Any
    first: float = 1.0
    step: float = 1.0

    @property
    def frames(self) -> Any:
        """The scene frame of each frame [F]."""
        return self.first + self.step * np.arange(len(self.placed.rotation))


def points_of(composition: Composition, placed: Placed, of_sprite: Any, first: float, step: float) -> Points:
    """The points of a composition. `of_sprite`: int [N], the quad of each sprite."""
    count = composition.header.sprites
    return Points(
        placed,
        np.zeros((count, 2), np.float32),
        np.ones(count, np.float32),
        of_sprite,
        np.arange(1, count + 1),
        first,
        step,
    )


def find(collection: Any) -> Any | None:
    """The mosaic in an imported collection; None where it holds layers."""
    mosaic = collection.get(MOSAIC)
    # One that was deleted from the scene lives on as long as the collection names it.
    return mosaic if mosaic is not None and mosaic.users_collection else None


def modifier_of(mosaic: Any) -> Any | None:
    """Our modifier on a mosaic; None where the artist has taken it away."""
    return next((m for m in mosaic.modifiers if m.type == 'NODES' and mosaic_nodes.is_ours(m.node_group)), None)


def has_own_work(mosaic: Any) -> bool:
    """Whether the artist has put something on a mosaic that cannot be made again: modifiers, constraints, keys."""
    own = [m for m in mosaic.modifiers if m != modifier_of(mosaic)]
    return bool(own or mosaic.constraints or mosaic.animation_data)


def make(name: str, points: Points, quads: Sequence[Quad], folder: Path, standing: Any | None = None) -> Any:
    """Make the object of a mosaic, not yet in any collection; or give new data to one that stands already.

    One that stands keeps its place, its other modifiers, and the first frame and frame step that the artist gave it.
    The meshes that it had stay, with no users.

    Args:
        name: of the composition.
        points: its sprites.
        quads: what they are made of.
        folder: of the job.
        standing: an object of this function.

    Raises:
        SmaltiError: there are too many keys.
    """
    frames, count = points.placed.rotation.shape
    if frames > 1 and frames * count > mosaic_nodes.MAX_KEYS:
        text = f"A Mosaic holds {mosaic_nodes.MAX_KEYS:,} keys at most, and these are {frames * count:,}."
        raise SmaltiError(text, "Import Layers instead, or fit fewer frames.", "too_large")
    mesh = mark(_points_mesh(f"{name} Mosaic", points, quads), folder)
    old: list[Any] = []
    mosaic = standing
    if mosaic is None:
        mosaic = bpy.data.objects.new(f"{name} Mosaic", mesh)
        modifier = mosaic.modifiers.new("Mosaic", 'NODES')
    else:
        old = _helpers_of(mosaic)
        mosaic.data = mesh
        modifier = modifier_of(mosaic) or mosaic.modifiers.new("Mosaic", 'NODES')
        mosaic.modifiers.move(mosaic.modifiers.find(modifier.name), 0)
    given = {mosaic_nodes.FIRST: points.first, mosaic_nodes.STEP: points.step}
    if modifier.node_group is not None and standing is not None:
        given = _kept(mosaic, modifier, given)
    modifier.node_group = mosaic_nodes.group(frames > 1)
    compat.set_input(modifier, mosaic_nodes.BITMAPS, _quads_collection(name, quads))
    if frames > 1:
        given |= {mosaic_nodes.FRAMES: frames, mosaic_nodes.SPRITES: count}
        keys = mark(_keys_mesh(f"{name} Keys", points), folder)
        given[mosaic_nodes.KEYS] = bpy.data.objects.new(keys.name, keys)
        for key, value in given.items():
            compat.set_input(modifier, key, value)
    mosaic[_GIVEN] = [points.first, points.step]
    mosaic.hide_viewport = mosaic.hide_render = False
    _remove(old)
    return mosaic


def _kept(mosaic: Any, modifier: Any, given: dict[str, float]) -> dict[str, float]:
    """First frame and frame step of an import; those that the artist has changed on a mosaic as they are there."""
    was = dict(zip(given, mosaic[_GIVEN]))
    now = {name: compat.input_of(modifier, name, was[name]) for name in given}
    return {name: value if abs(now[name] - was[name]) < 1e-4 else now[name] for name, value in given.items()}


def retire(mosaic: Any) -> bool:
    """Take a mosaic away, or hide it where it has the artist's own work; returns whether it was hidden.

    Its meshes stay, with no users.
    """
    if has_own_work(mosaic):
        mosaic.hide_viewport = mosaic.hide_render = True
        return True
    helpers = _helpers_of(mosaic)
    bpy.data.objects.remove(mosaic)
    _remove(helpers)
    return False


def quads_of(mosaic: Any) -> list[Quad]:
    """The quads of a mosaic, in the order of the attribute `quad`."""
    holder = compat.input_of(modifier_of(mosaic), mosaic_nodes.BITMAPS)
    return [Quad(item.data, item.active_material) for item in sorted(holder.objects, key=lambda item: str(item.name))]


def read(mosaic: Any) -> Points:
    """The sprites of a mosaic as they are now, with what the artist has changed of its points, bottom first.

    Raises:
        SmaltiError: our modifier or an attribute is not there any more.
    """
    modifier = modifier_of(mosaic)
    if modifier is None or compat.input_of(modifier, mosaic_nodes.BITMAPS) is None:
        raise SmaltiError(f"{mosaic.name}: its modifier is gone.", "Undo, or import the job again.", "bad_file")
    mesh = mosaic.data
    now = {name: _values(mesh, name, kind) for name, kind in _KINDS.items()}
    place = _positions(mesh)
    order = np.argsort(place[:, 2], kind="stable")
    location, angle, size = place[None, :, :2], now["rotation"][None, :, 2], now[SIZE][None, :, :2]
    colour = np.concatenate((now[TINT][:, :3], now[OPACITY][:, None]), -1)[None]
    keys = compat.input_of(modifier, mosaic_nodes.KEYS)
    if keys is not None:
        values = [_positions(keys.data), *(_values(keys.data, name, kind) for name, kind in _KEY_KINDS.items())]
        frames = compat.input_of(modifier, mosaic_nodes.FRAMES)
        at, size_opacity, tint = (each.reshape(frames, -1, 3)[:, now["rank"]] for each in values)
        location, angle = at[..., :2] + (place - now["center"])[:, :2], at[..., 2]
        size, colour = size_opacity[..., :2], np.concatenate((tint, size_opacity[..., 2:]), -1)
    first, step = (
        compat.input_of(modifier, name, float(was))
        for name, was in zip((mosaic_nodes.FIRST, mosaic_nodes.STEP), mosaic[_GIVEN])
    )
    return Points(
        Placed(location[:, order], angle[:, order], size[:, order], colour[:, order], place[order, 2]),
        now["rotation"][order, :2],
        now[SIZE][order, 2],
        now["quad"][order],
        now["layer"][order],
        first,
        step,
    )


def _points_mesh(name: str, points: Points, quads: Sequence[Quad]) -> Any:
    placed, count = points.placed, len(points.layer)
    rank = np.arange(count)
    facts = np.array([[_fact(quad, key) for key in (BITMAP, REGION, LETTER)] for quad in quads])[points.quad]
    place = np.concatenate((placed.location[0], placed.height[:, None]), -1)
    values = {
        "center": place * (1, 1, 0),
        "rotation": np.concatenate((points.rotation, placed.rotation[0][:, None]), -1),
        SIZE: np.concatenate((placed.scale[0], points.thickness[:, None]), -1),
        TINT: np.concatenate((placed.colour[0][:, :3], np.ones((count, 1))), -1),
        OPACITY: placed.colour[0][:, 3],
        "depth": rank / max(1, count - 1),
        "rank": rank,
        "bitmap": facts[:, 0],
        "region": facts[:, 1],
        "letter": facts[:, 2],
        "quad": points.quad,
        "layer": points.layer,
    }
    return _point_mesh(name, place, {key: (_KINDS[key], value) for key, value in values.items()})


def _fact(quad: Quad, key: str) -> int:
    return -1 if quad.material is None else int(quad.material.get(key, -1))


def _keys_mesh(name: str, points: Points) -> Any:
    placed = points.placed
    place = np.concatenate((placed.location, placed.rotation[..., None]), -1)
    values = {
        "size_opacity": np.concatenate((placed.scale, placed.colour[..., 3:]), -1),
        TINT: placed.colour[..., :3],
    }
    return _point_mesh(name, place, {key: (_KEY_KINDS[key], value) for key, value in values.items()})


def _point_mesh(name: str, place: Any, attributes: dict[str, tuple[str, Any]]) -> Any:
    """A mesh of vertices alone. `attributes`: type and values of each."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(place.size // 3)
    mesh.vertices.foreach_set("co", np.ascontiguousarray(place, np.float32).ravel())
    for key, (kind, values) in attributes.items():
        number = np.int32 if kind == 'INT' else np.float32
        attribute = mesh.attributes.new(key, kind, 'POINT')
        attribute.data.foreach_set(_FIELDS[kind][0], np.ascontiguousarray(values, number).ravel())
    return mesh


def _positions(mesh: Any) -> Any:
    """Where the vertices of a mesh are, float32 [vertices, 3]."""
    place = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", place.ravel())
    return place


def _values(mesh: Any, name: str, kind: str) -> Any:
    """An attribute of the points, [points] or [points, numbers]. Raises SmaltiError where there is none."""
    attribute = mesh.attributes.get(name)
    if attribute is None or attribute.data_type != kind or attribute.domain != 'POINT':
        raise SmaltiError(f"{mesh.name}: its attribute {name} is gone.", "Undo, or import the job again.", "bad_file")
    field, width = _FIELDS[kind]
    values = np.empty((len(mesh.vertices), width), np.int32 if kind == 'INT' else np.float32)
    attribute.data.foreach_get(field, values.ravel())
    return values if width > 1 else values[:, 0]


def _quads_collection(name: str, quads: Sequence[Quad]) -> Any:
    """A collection, in no scene, with an object for each quad; their names begin with their numbers."""
    holder = bpy.data.collections.new(f"{name} Bitmaps")
    digits = len(str(len(quads)))
    for number, quad in enumerate(quads, 1):
        item = bpy.data.objects.new(f"{number:0{digits}d} {(quad.material or quad.mesh).name}", quad.mesh)
        if item.active_material != quad.material:
            slot = item.material_slots[0]
            slot.link, slot.material = 'OBJECT', quad.material
        holder.objects.link(item)
    return holder


def _helpers_of(mosaic: Any) -> list[Any]:
    """The objects and the collection that a mosaic alone uses: its keys and its quads, each before what it uses."""
    modifier = modifier_of(mosaic)
    if modifier is None:
        return []
    keys = compat.input_of(modifier, mosaic_nodes.KEYS)
    holder = compat.input_of(modifier, mosaic_nodes.BITMAPS)
    return [keys] * (keys is not None) + ([holder, *holder.objects] if holder is not None else [])


def _remove(helpers: list[Any]) -> None:
    """Remove those of `_helpers_of` that nothing uses now."""
    for item in helpers:
        if item.users == 0:
            bpy.data.batch_remove([item])
