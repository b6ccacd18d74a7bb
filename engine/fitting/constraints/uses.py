# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses: each bitmap only as often, and its copies only as near to each other, as the job allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...arrays import Int32Array, Int64Array
from ...raster import StackPosition
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..use_limits import UseLimits, Uses
from .constraint import Constraint, ConstraintContext

PLACE = ("x", "y", "scale", "theta")
"""The columns that a step changes back."""


class UseConstraint(Constraint):
    """Keeps the limits at every step.

    Proposals and relocation ask for templates that are allowed. What others move to where its template is not gets
    another one of similar color; in a film's later frames, where templates stay, sprites exchange their places.

    Args:
        limits: what is allowed.
        keeps_templates: whether sprites must have the templates that they have: another may not fit in.
        is_later_frame: whether this is not the first frame.
    """

    def __init__(self, limits: UseLimits, keeps_templates: bool, is_later_frame: bool) -> None:
        self.limits = limits
        self.has_projection = limits.distance > 0
        self._keeps_templates = keeps_templates or is_later_frame
        self._is_later_frame = is_later_frame

    @classmethod
    def of(cls, context: ConstraintContext) -> UseConstraint | None:
        """See `Constraint`."""
        if context.use_limits is None:
            return None
        is_confined = context.inside is not None or any(group.inside is not None for group in context.groups)
        return cls(context.use_limits, is_confined, context.is_later_frame)

    def start(self, sprites: Sprites) -> Sprites:
        """See `Constraint`."""
        template = self._suitable(sprites)[0]
        if not self._is_later_frame:
            return replace(sprites, template=template)
        place, own = np.argsort(template, kind="stable"), np.argsort(sprites.template, kind="stable")
        result = sprites.put(own, sprites.take(place))
        result.template[...] = sprites.template
        return result

    def project(self, after: Sprites, before: Sprites) -> Sprites:
        """See `Constraint`. Sprites that came too close to a copy go back to where they were."""
        result, reverted = after, np.zeros(len(after), bool)
        while True:
            bad = self.limits.too_close(result.template, result.x, result.y, 0.5 * self.limits.margin) & ~reverted
            if not bad.any():
                return result
            if result is after:
                result = after.copy()
            for name in PLACE:
                getattr(result, name)[bad] = getattr(before, name)[bad]
            reverted |= bad

    def settle(self, optimiser: Optimiser) -> None:
        """See `Constraint`."""
        sprites = optimiser.parameters.placed()
        template = self._suitable(sprites)[0]
        changed = np.flatnonzero(template != sprites.template)
        if len(changed):
            fresh = replace(sprites, template=template).take(changed)
            optimiser.parameters.substitute(changed, fresh, np.full(len(changed), StackPosition.IN_PLACE))

    def finish(self, sprites: Sprites) -> Sprites:
        """See `Constraint`. A sprite that finds no template, or must keep its own, is not shown."""
        if self.limits.kept(sprites.template, sprites.x, sprites.y):
            return sprites
        if self._keeps_templates:
            bad = Uses(self.limits, sprites.template, sprites.x, sprites.y).broken()
            return _hidden(sprites, bad)
        template, left = self._suitable(sprites)
        return _hidden(replace(sprites, template=template), left)

    def _suitable(self, sprites: Sprites) -> tuple[Int32Array, Int64Array]:
        """Templates [N] that are allowed, most of them as they are, and the sprites for which there is none."""
        if self.limits.kept(sprites.template, sprites.x, sprites.y):
            return sprites.template, np.zeros(0, np.int64)
        uses = Uses(self.limits, sprites.template, sprites.x, sprites.y)
        bad = uses.broken()
        for k in bad.tolist():
            uses.remove(k)
        before = sprites.template.copy()
        left = uses.fill(bad.tolist(), lambda which: self.limits.likeness(before[which]))
        return uses.template.astype(np.int32), np.array(left, np.int64)


def _hidden(sprites: Sprites, which: Int64Array) -> Sprites:
    """The sprites, those of `which` with opacity 0."""
    result = sprites.copy()
    result.opacity[which] = 0
    return result
