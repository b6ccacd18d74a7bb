# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting materials that stand already read a sprite's own values from its object, or from the instance that it is.

Whatever else an artist has made of the materials stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from . import edits
from .materials import OPACITY, SIZE, TINT, Source

_SCALE = "scale"  # of an object, for which an instance has `SIZE`


def let_read(materials: Iterable[Any], source: Source) -> None:
    """Let the materials of sprites read tint, opacity and size from there."""
    found = [material for material in materials if material]
    trees = _trees(material.node_tree for material in found)
    with ExitStack() as all_of_them:
        for item in {*found, *trees}:
            all_of_them.enter_context(edits.own_change(item))
        for tree in trees:
            (_to_instancer if source == "instancer" else _to_object)(tree)


def _trees(roots: Iterable[Any]) -> set[Any]:
    """Node trees with the trees of the groups in them."""
    found: set[Any] = set()
    waiting = [tree for tree in roots if tree is not None]
    while waiting:
        tree = waiting.pop()
        if tree not in found:
            found.add(tree)
            waiting += [node.node_tree for node in tree.nodes if getattr(node, "node_tree", None) is not None]
    return found


def _to_instancer(tree: Any) -> None:
    for node in list(tree.nodes):
        if node.bl_idname == 'ShaderNodeObjectInfo':
            for output, name, shown, lower in (("Color", TINT, "Color", 0), ("Alpha", OPACITY, "Fac", 180)):
                into = [link.to_socket for link in node.outputs[output].links]
                if into:
                    attribute = _new(tree, 'ShaderNodeAttribute', node, name.capitalize(), lower)
                    attribute.attribute_type, attribute.attribute_name = 'INSTANCER', name
                    _link(tree, attribute.outputs[shown], into)
            _remove_unlinked(tree, node)
    for node in _attributes(tree, 'OBJECT', _SCALE):
        node.attribute_type, node.attribute_name = 'INSTANCER', SIZE


def _to_object(tree: Any) -> None:
    info = None
    for name, output in ((TINT, "Color"), (OPACITY, "Alpha")):
        for node in list(_attributes(tree, 'INSTANCER', name)):
            if info is None:
                info = _new(tree, 'ShaderNodeObjectInfo', node, "Tint and Opacity", 0)
            for socket in node.outputs:
                _link(tree, info.outputs[output], [link.to_socket for link in socket.links])
            tree.nodes.remove(node)
    for node in _attributes(tree, 'INSTANCER', SIZE):
        node.attribute_type, node.attribute_name = 'OBJECT', _SCALE


def _attributes(tree: Any, kind: str, name: str) -> Iterator[Any]:
    """The attribute nodes of a tree that read a certain one."""
    for node in list(tree.nodes):
        if node.bl_idname == 'ShaderNodeAttribute' and (node.attribute_type, node.attribute_name) == (kind, name):
            yield node


def _new(tree: Any, kind: str, beside: Any, label: str, lower: int) -> Any:
    made = tree.nodes.new(kind)
    made.label, made.parent = label, beside.parent
    made.location = (beside.location[0], beside.location[1] - lower)
    return made


def _link(tree: Any, output: Any, into: Iterable[Any]) -> None:
    for socket in into:
        tree.links.new(output, socket)


def _remove_unlinked(tree: Any, node: Any) -> None:
    if not any(output.is_linked for output in node.outputs):
        tree.nodes.remove(node)
