# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry nodes of a mosaic: they put the quad of its bitmap on each point, and read a film's keys.

There is one group for stills and one for films, each made once in a file and shared by all its mosaics. What they
expect of the points, and what the keys of a film are, is in `instances`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import bpy

from .materials import OPACITY, SIZE, TINT

BITMAPS = "Bitmaps"  # inputs of the groups: the collection with one quad for each material
MAX_KEYS = 2**24  # of a film: their indices are calculated as floats
FIRST, STEP = "First Frame", "Frame Step"  # of films, for the artist
KEYS, FRAMES, SPRITES = "Keys", "Frames", "Sprites"  # of films: the object with the keys, and how many there are

_MADE = "smalti_nodes"  # on a group: which of ours it is
_VERSION = 1
_FILM = ((FIRST, 'NodeSocketFloat'), (STEP, 'NodeSocketFloat'), (KEYS, 'NodeSocketObject'))
_COUNTS = (FRAMES, SPRITES)


def group(film: bool) -> Any:
    """The node group of stills or of films: that of this file, or a new one."""
    mark = f"{'film' if film else 'still'} {_VERSION}"
    found = next((g for g in bpy.data.node_groups if g.get(_MADE) == mark), None)
    if found is None:
        found = _Builder("Smalti Film" if film else "Smalti Mosaic", film).group
        found[_MADE] = mark
    return found


def is_ours(node_group: Any) -> bool:
    """Whether a node group is one of these."""
    return node_group is not None and _MADE in node_group


class _Builder:
    """Builds one group, from left to right; `group` is the result."""

    def __init__(self, name: str, film: bool) -> None:
        self.group: Any = bpy.data.node_groups.new(name, 'GeometryNodeTree')
        self.group.is_modifier = True
        self._column = 0
        self._sockets(film)
        self._given = self._node('NodeGroupInput')
        points = self._given.outputs["Geometry"]
        rotation, size = self._read("rotation", 'FLOAT_VECTOR'), self._read(SIZE, 'FLOAT_VECTOR')
        if film:
            points = self._keyed(points, rotation, size)
            rotation, size = self._read("rotation", 'FLOAT_VECTOR'), self._read(SIZE, 'FLOAT_VECTOR')
        place = self._node('GeometryNodeInputPosition', 1).outputs[0]
        points = self._stored(points, "center", 'FLOAT_VECTOR', place)
        self._finish(self._instanced(points, rotation, size))

    def _sockets(self, film: bool) -> None:
        interface = self.group.interface
        for direction in ('OUTPUT', 'INPUT'):
            interface.new_socket("Geometry", in_out=direction, socket_type='NodeSocketGeometry')
        interface.new_socket(BITMAPS, in_out='INPUT', socket_type='NodeSocketCollection')
        if not film:
            return
        for name, kind in _FILM:
            socket = interface.new_socket(name, in_out='INPUT', socket_type=kind)
            if kind == 'NodeSocketFloat':
                socket.default_value, socket.min_value = 1.0, -1e6 if name == FIRST else 1e-3
        for name in _COUNTS:
            interface.new_socket(name, in_out='INPUT', socket_type='NodeSocketInt').default_value = 1
        for socket in interface.items_tree:
            socket.hide_in_modifier = socket.name in {KEYS, *_COUNTS}

    def _node(self, kind: str, row: int = 0, **settings: Any) -> Any:
        """A new node, to the right of the last; `row`: below (positive) or above it."""
        made = self.group.nodes.new(kind)
        for name, value in settings.items():
            setattr(made, name, value)
        made.location = (190 * self._column, -170 * row)
        self._column += 1
        return made

    def _feed(self, node: Any, values: Sequence[Any]) -> Any:
        """Give the inputs of a node that show, in order, links or constants; returns its first output, if any."""
        shown = [socket for socket in node.inputs if socket.enabled]
        for socket, value in zip(shown, values):
            if isinstance(value, bpy.types.NodeSocket):
                self.group.links.new(value, socket)
            elif value is not None:
                socket.default_value = value
        return next((socket for socket in node.outputs if socket.enabled), None)

    def _math(self, operation: str, *values: Any) -> Any:
        return self._feed(self._node('ShaderNodeMath', 2, operation=operation), values)

    def _vector(self, operation: str, *values: Any) -> Any:
        return self._feed(self._node('ShaderNodeVectorMath', 1, operation=operation), values)

    def _read(self, name: str, kind: str) -> Any:
        return self._feed(self._node('GeometryNodeInputNamedAttribute', 1, data_type=kind), (name,))

    def _stored(self, points: Any, name: str, kind: str, value: Any) -> Any:
        node = self._node('GeometryNodeStoreNamedAttribute', data_type=kind, domain='POINT')
        return self._feed(node, (points, None, name, value))

    def _parts(self, vector: Any) -> list[Any]:
        node = self._node('ShaderNodeSeparateXYZ', 1)
        self._feed(node, (vector,))
        return list(node.outputs)

    def _together(self, *parts: Any) -> Any:
        return self._feed(self._node('ShaderNodeCombineXYZ', 1), parts)

    def _keyed(self, points: Any, rotation: Any, size: Any) -> Any:
        """The points with center, rotation, size, tint and opacity at the scene's frame."""
        at_frame = self._frames()
        x, y, angle = self._parts(at_frame(self._node('GeometryNodeInputPosition', 2).outputs[0]))
        width, height, opacity = self._parts(at_frame(self._read("size_opacity", 'FLOAT_VECTOR')))
        tint = at_frame(self._read(TINT, 'FLOAT_VECTOR'))
        turned, high = self._parts(rotation), self._parts(size)[2]
        points = self._stored(points, TINT, 'FLOAT_COLOR', tint)
        points = self._stored(points, OPACITY, 'FLOAT', opacity)
        points = self._stored(points, "rotation", 'FLOAT_VECTOR', self._together(turned[0], turned[1], angle))
        points = self._stored(points, SIZE, 'FLOAT_VECTOR', self._together(width, height, high))
        # Points that the artist has moved from where the first frame has them are moved in all.
        place = self._node('GeometryNodeInputPosition', 1).outputs[0]
        moved = self._vector('SUBTRACT', place, self._read("center", 'FLOAT_VECTOR'))
        place = self._vector('ADD', self._together(x, y, 0.0), moved)
        return self._feed(self._node('GeometryNodeSetPosition'), (points, None, place))

    def _frames(self) -> Callable[[Any], Any]:
        """What makes a field of the keys one of the sprites, between two keys on the straight line."""
        given = self._given.outputs
        time = self._node('GeometryNodeInputSceneTime', 2).outputs["Frame"]
        past = self._math('DIVIDE', self._math('SUBTRACT', time, given[FIRST]), given[STEP])
        last = self._math('SUBTRACT', given[FRAMES], 1.0)
        here = self._math('MINIMUM', self._math('MAXIMUM', past, 0.0), last)
        before = self._math('FLOOR', here)
        share = self._math('SUBTRACT', here, before)
        # On a key, which most frames are, the next one is not even read.
        is_between = self._math('GREATER_THAN', share, 0.0)
        after = self._math('MINIMUM', self._math('ADD', before, 1.0), last)
        rank = self._read("rank", 'INT')
        rows = [self._math('MULTIPLY_ADD', frame, given[SPRITES], rank) for frame in (before, after)]
        info = self._node('GeometryNodeObjectInfo', 2, transform_space='ORIGINAL')
        self._feed(info, (given[KEYS],))
        keys = info.outputs["Geometry"]

        def at_frame(value: Any) -> Any:
            nodes = [self._node('GeometryNodeSampleIndex', 1, data_type='FLOAT_VECTOR', domain='POINT') for _ in rows]
            ends = [self._feed(node, (keys, value, row)) for node, row in zip(nodes, rows)]
            between = self._feed(self._node('ShaderNodeMix', 1, data_type='VECTOR'), (share, *ends))
            return self._feed(self._node('GeometryNodeSwitch', 1, input_type='VECTOR'), (is_between, ends[0], between))

        return at_frame

    def _instanced(self, points: Any, rotation: Any, size: Any) -> Any:
        quads = self._feed(
            self._node('GeometryNodeCollectionInfo', 2, transform_space='ORIGINAL'),
            (self._given.outputs[BITMAPS], True, True),
        )
        turned = self._feed(self._node('FunctionNodeEulerToRotation', 1), (rotation,))
        node = self._node('GeometryNodeInstanceOnPoints')
        return self._feed(node, (points, None, quads, True, self._read("quad", 'INT'), turned, size))

    def _finish(self, geometry: Any) -> None:
        self._feed(self._node('NodeGroupOutput'), (geometry,))
