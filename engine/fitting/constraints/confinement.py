# SPDX-License-Identifier: GPL-3.0-or-later
"""Confinement: sprites draw nowhere outside of masks, outlines and their own regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arrays import BoolArray, Float32Array
from ...sprites import Sprites
from ..optimiser import Optimiser
from .constraint import Constraint, ConstraintContext
from .region import PLACE, Region, named_for_frame


class Confinement(Constraint):
    """Keeps the sprites of some groups inside of a part of the canvas each.

    Args:
        regions: of the groups that are confined.
        covers_all: whether these are all groups, so that nothing of the target outside can be shown.
        keep_templates: sprites must keep their templates, as in later frames of a film.

    Raises:
        SmaltiError: see `Region`.
    """

    has_projection = True

    def __init__(self, regions: Sequence[Region], covers_all: bool, keep_templates: bool) -> None:
        self._regions = regions
        self._covers_all = covers_all
        self._keep_templates = keep_templates

    @classmethod
    def of(cls, context: ConstraintContext) -> Confinement | None:
        """See `Constraint`."""
        common = None if context.inside is None else context.inside(context.frame)
        rotation_steps = context.job.rotation_steps
        turn = None if rotation_steps is None else 2 * np.pi / rotation_steps
        if context.settings.lock_rotation:
            turn = 0.0
        regions = []
        for group in context.groups:
            parts = [inside for inside in (common, group.inside) if inside is not None]
            if parts:
                named = named_for_frame(group, context.frame)
                inside = np.logical_and.reduce(parts)
                regions.append(Region(inside, named, context.atlas_of, context.shapes, turn))
        if not regions:
            return None
        return cls(regions, len(regions) == len(context.groups), context.is_later_frame)

    def visible_target(self, target: Float32Array) -> Float32Array:
        """See `Constraint`."""
        if not self._covers_all:
            return target
        inside: BoolArray = np.logical_or.reduce([region.inside for region in self._regions])
        return target * inside[..., None]

    def start(self, sprites: Sprites) -> Sprites:
        """See `Constraint`."""
        return self._feasible(sprites, self._keep_templates)

    def project(self, after: Sprites, before: Sprites) -> Sprites:
        """See `Constraint`."""
        for region in self._regions:
            members = region.group.members(after.template)
            then = before.take(members)
            inside = region.project(after.take(members), then)
            # What brings a sprite back inside may move its center out of its group's mask.
            lost = region.group.holds(then.x, then.y) & ~region.group.holds(inside.x, inside.y)
            for name in PLACE:
                getattr(inside, name)[lost] = getattr(then, name)[lost]
            after = after.put(members, inside)
        return after

    def settle(self, optimiser: Optimiser) -> None:
        """See `Constraint`."""
        sprites = optimiser.sprites().double()
        feasible = self._feasible(sprites, self._keep_templates)
        same_template = feasible.template == sprites.template
        moved = np.any([getattr(feasible, name) != getattr(sprites, name) for name in PLACE], axis=0)
        in_place, other = np.flatnonzero(moved & same_template), np.flatnonzero(~same_template)
        optimiser.parameters.set(in_place, feasible.take(in_place))
        if len(other):
            optimiser.parameters.move_to_top(other, feasible.take(other))

    def finish(self, sprites: Sprites) -> Sprites:
        """See `Constraint`. A sprite that must keep its template, and has no room, is not shown."""
        return self._feasible(sprites, keep_templates=True).single()

    def _feasible(self, sprites: Sprites, keep_templates: bool) -> Sprites:
        """Sprites from anywhere, inside, float64."""
        given = sprites.double()
        result = given
        for region in self._regions:
            members = region.group.members(given.template)
            result = result.put(members, region.settle(result.take(members)))
        if keep_templates:
            result.opacity[result.template != given.template] = 0
            result.template[...] = given.template
        return result
