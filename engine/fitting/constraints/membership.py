# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership: the centers of a group's sprites stay within its mask, their sizes within its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...sprites import Sprites
from ..groups import Group
from .constraint import Constraint, ConstraintContext


class Membership(Constraint):
    """Keeps every sprite with its group.

    Args:
        groups: all groups.
        lock_scale: sizes never change, so their range need not be kept.
    """

    has_projection = True

    def __init__(self, groups: Sequence[Group], lock_scale: bool) -> None:
        self._groups = groups
        self._lock_scale = lock_scale

    @classmethod
    def of(cls, context: ConstraintContext) -> Membership | None:
        """See `Constraint`: where there are regions."""
        if context.groups[0].mask is None:
            return None
        return cls(context.groups, context.settings.lock_scale)

    def project(self, after: Sprites, before: Sprites) -> Sprites:
        """See `Constraint`."""
        for group in self._groups:
            members = group.members(after.template)
            after = after.put(members, self._kept(group, after.take(members), before.take(members)))
        return after

    def _kept(self, group: Group, after: Sprites, before: Sprites) -> Sprites:
        """Sprites of one group after a step, clipped to its sizes, their centers within its mask.

        A center that would leave goes as far as one of its coordinates allows: so it moves along the edge.
        """
        scale = after.scale
        if not self._lock_scale:
            scale = np.clip(scale, 0.5 * group.size_range[0], 0.5 * group.size_range[1])
        was_held = group.holds(before.x, before.y)
        x, y = after.x, after.y
        for back_x, back_y in ((False, True), (True, False), (True, True)):
            lost = was_held & ~group.holds(x, y)
            x = np.where(lost, (before if back_x else after).x, x)
            y = np.where(lost, (before if back_y else after).y, y)
        return replace(after, x=x, y=y, scale=scale)
