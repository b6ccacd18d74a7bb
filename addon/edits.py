# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the artist has changed the nodes of a material or of a node group since Smalti made them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import bpy

MADE = "smalti_made"  # on a material or node group: the checksum of its nodes as they were made
PURPOSE = "smalti_purpose"  # and what it was made for: another one of the same purpose can take its place


def seal(item: Any, purpose: str) -> None:
    """Write down what a new material or node group is like, and what it was made for."""
    item[MADE], item[PURPOSE] = _checksum(_tree(item)), purpose


def is_edited(item: Any) -> bool:
    """Whether its nodes are others than those that were made, or have other links or values."""
    return MADE in item and item[MADE] != _checksum(_tree(item))


def edited(items: Iterable[Any]) -> dict[str, Any]:
    """Those of some data-blocks that the artist has edited, by what they were made for."""
    trees = (bpy.types.Material, bpy.types.NodeTree)
    return {item[PURPOSE]: item for item in items if isinstance(item, trees) and is_edited(item)}


@contextmanager
def own_change(item: Any) -> Iterator[None]:
    """While Smalti changes the nodes itself, at the artist's wish, which is no edit."""
    was_edited = is_edited(item)
    yield
    if MADE in item and not was_edited:
        item[MADE] = _checksum(_tree(item))


def _tree(item: Any) -> Any:
    return item if isinstance(item, bpy.types.NodeTree) else item.node_tree


def _checksum(tree: Any) -> str:
    said = []
    for node in tree.nodes:
        operation = getattr(node, "operation", "") or getattr(node, "blend_type", "")
        said.append(f"{node.name} {node.bl_idname} {node.mute} {operation}")
        said += [f"{socket.identifier} {_value(socket)}" for socket in node.inputs if not socket.is_linked]
    for link in tree.links:
        ends = (link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)
        said.append(" ".join(ends))
    return f"{zlib.crc32(chr(10).join(sorted(said)).encode()):08x}"


def _value(socket: Any) -> Any:
    value = getattr(socket, "default_value", None)
    return value if value is None or isinstance(value, (bool, int, float, str)) else list(value)
