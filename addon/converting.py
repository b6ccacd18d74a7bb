# SPDX-License-Identifier: GPL-3.0-or-later
"""Turning imported layers into a mosaic and back, as they are now, whatever has become of the job's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import earlier, fewer_keys, imported, instances, layer_keys, layers, root, sources
from .bridge.errors import SmaltiError
from .composition import Placed
from .instances import Points, Quad
from .layer_keys import COLOR, PLACE, SCALE, TURN
from .shading import TEMPLATE


@dataclass(frozen=True)
class Converted:
    """What was converted. `left`: the number of sprites that had something that could not be carried over."""

    sprites: int
    left: int = 0


def to_layers(collection: Any, mosaic: Any) -> Converted:
    """Make an object of each sprite of a mosaic, which is taken away, or hidden where it has the artist's own work.

    Raises:
        SmaltiError: the mosaic lacks what it is read from.
    """
    folder = Path(collection[imported.JOB])
    points, quads = instances.read(mosaic), instances.quads_of(mosaic)
    old = imported.data_of(folder)
    sources.let_read((quad.material for quad in quads), "object")
    rows = _rows(points)
    values = [rows[:, columns].tolist() for columns in (PLACE, TURN, SCALE, COLOR)]
    digits = len(str(points.layer.max(initial=1)))
    made = []
    for k, (layer, number) in enumerate(zip(points.layer.tolist(), points.quad.tolist())):
        mesh, material = quads[number]
        title = mesh.name if material is None else material.get(TEMPLATE, material.name)
        sprite = bpy.data.objects.new(f"{layer:0{digits}d} {title}", mesh)
        if sprite.active_material != material:
            slot = sprite.material_slots[0]
            slot.link, slot.material = 'OBJECT', material
        sprite.location, sprite.rotation_euler, sprite.scale, sprite.color = (column[k] for column in values)
        sprite[earlier.RANK] = layer
        sprite.parent, sprite.matrix_parent_inverse = mosaic.parent, mosaic.matrix_local
        collection.objects.link(sprite)
        made.append((k, sprite))
    if len(points.placed.rotation) > 1:
        keys_of = fewer_keys.straight_keys if mosaic.get(instances.FEW_KEYS) else fewer_keys.all_keys
        layers.write_keys(keys_of(points.placed), made, points.frames)
    written = collection.pop(imported.LAYERS_WRITTEN, None)
    if isinstance(written, bytes):
        earlier.remember(collection, np.frombuffer(written, np.float32))
    else:
        _remember(collection, points.layer, rows)
    instances.retire(mosaic)
    imported.remove_unused(old)
    return Converted(len(made))


def to_mosaic(collection: Any) -> Converted:
    """Make a mosaic of the layers in a collection, in place of them.

    Raises:
        SmaltiError: there are no layers, or too many keys.
    """
    folder = Path(collection[imported.JOB])
    holder = root.of(collection)
    found = layer_keys.read(collection, holder)
    if not found.layers:
        raise SmaltiError(f"{collection.name}: holds no layers.", "Import the job again.", "no_layers")
    order = np.argsort(found.values[0, :, 2], kind="stable")
    quads: dict[Quad, int] = {}
    quad = [quads.setdefault(Quad(layer.data, layer.active_material), len(quads)) for layer in found.layers]
    values = found.values[:, order]
    points = Points(
        Placed(values[..., 0:2], values[..., 5], values[..., 6:8], values[..., 9:], values[0, :, 2]),
        values[0, :, 3:5],
        values[0, :, 8],
        np.array(quad)[order],
        np.array([layer[earlier.RANK] for layer in found.layers])[order],
        found.first,
        found.step,
    )
    old = imported.data_of(folder)
    mosaic = instances.make(collection.name, points, list(quads), folder, instances.find(collection))
    mosaic[instances.FEW_KEYS] = found.few
    sources.let_read((each.material for each in quads), "instancer")
    if not mosaic.users_collection:
        collection.objects.link(mosaic)
    mosaic.parent, mosaic.matrix_basis = holder, found.place
    collection[imported.MOSAIC] = mosaic
    written = collection.get(earlier.WRITTEN)
    if isinstance(written, bytes):
        collection[imported.LAYERS_WRITTEN] = written
        earlier.remember(collection, np.frombuffer(written, np.float32)[: earlier.WIDTH])
    earlier.remove(found.layers)
    imported.remove_unused(old)
    return Converted(len(found.layers), found.left)


def _rows(points: Points) -> Any:
    """What the layers of points are given, float32 [N, 13] in the order of `earlier.VALUES`."""
    placed = points.placed
    columns = (
        placed.location[0],
        placed.height[:, None],
        points.rotation,
        placed.rotation[0][:, None],
        placed.scale[0],
        points.thickness[:, None],
        placed.colour[0],
    )
    return np.concatenate(columns, 1, dtype=np.float32)


def _remember(collection: Any, numbers: Any, rows: Any) -> None:
    """Write down the layers that a mosaic from an import has become, as if that import had made them."""
    written = collection.get(earlier.WRITTEN)
    if not isinstance(written, bytes):
        return
    all_rows = np.zeros((numbers.max(initial=0) + 1, earlier.WIDTH), np.float32)
    all_rows[0] = np.frombuffer(written, np.float32)[: earlier.WIDTH]
    all_rows[numbers] = rows
    earlier.remember(collection, all_rows)
