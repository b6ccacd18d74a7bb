# SPDX-License-Identifier: GPL-3.0-or-later
"""Which collection each layer of an import is in."""

from __future__ import annotations

from typing import Any

import bpy

from .earlier import RANK

GROUP = "smalti_group"  # on a collection inside that of an import: what its layers have in common


class Homes:
    """The collections of one import: its own, and one in it for each group.

    Args:
        collection: of the import.
        groups: the name of each sprite's group, bottom first, empty for none; None where they are not grouped.
    """

    def __init__(self, collection: Any, groups: list[str] | None) -> None:
        self._collection = collection
        self._groups = groups
        self._children = {child[GROUP]: child for child in collection.children if GROUP in child}
        self._home = {item: home for home in (collection, *self._children.values()) for item in home.objects}
        # In another collection below: the artist has put it there.
        below = (each for each in collection.children_recursive if each not in self._children.values())
        self._elsewhere = {item for each in below for item in each.objects}

    def put(self, item: Any) -> None:
        """Link an object where it belongs, unless the artist has put it elsewhere."""
        wanted, is_now = self._wanted(item), self._home.get(item)
        if wanted == is_now or item in self._elsewhere:
            return
        wanted.objects.link(item)
        if is_now is not None:
            is_now.objects.unlink(item)

    def tidy(self) -> None:
        """Remove the collections of groups that hold nothing."""
        empty = [child for child in self._children.values() if not child.objects and not child.children]
        bpy.data.batch_remove(empty)

    def _wanted(self, item: Any) -> Any:
        rank = item.get(RANK, 0)
        if self._groups is None or not 0 < rank <= len(self._groups):
            return self._collection
        group = self._groups[rank - 1]
        if not group:
            return self._collection
        if group not in self._children:
            child = bpy.data.collections.new(f"{self._collection.name} {group}")
            child[GROUP] = group
            self._collection.children.link(child)
            self._children[group] = child
        return self._children[group]
