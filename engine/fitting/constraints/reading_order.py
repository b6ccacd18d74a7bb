# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading order: sprites stay near where they began, so that a text can still be read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float64Array, FloatArray
from ...sprites import Sprites
from ..placement import Placement
from .constraint import Constraint, ConstraintContext


@dataclass(frozen=True)
class ReadingSettings:
    """How far letters may leave their lines.

    Attributes:
        growth: factor, at most, by which one becomes larger or smaller.
        turn: largest angle from upright, radians.
    """

    growth: float = 1.15
    turn: float = 0.1


class ReadingOrder(Constraint):
    """Centers stay within reach of their anchors, sizes and angles near those that they began with.

    Args:
        placement: the anchors, with their reach.
    """

    has_projection = True

    def __init__(self, placement: Placement, settings: ReadingSettings = ReadingSettings()) -> None:
        assert placement.reach is not None
        self._anchor, self._reach, self._settings = placement, placement.reach, settings

    @classmethod
    def of(cls, context: ConstraintContext) -> ReadingOrder | None:
        """See `Constraint`."""
        placement = context.placement
        return None if placement is None or placement.reach is None else cls(placement)

    def project(self, after: Sprites, before: Sprites) -> Sprites:
        """See `Constraint`."""
        anchor, growth, turn = self._anchor, self._settings.growth, self._settings.turn
        return replace(
            after,
            x=_near(after.x, anchor.x, self._reach[:, 0]),
            y=_near(after.y, anchor.y, self._reach[:, 1]),
            scale=np.clip(after.scale, anchor.scale / growth, anchor.scale * growth),
            theta=_near(after.theta, anchor.theta, turn),
        )

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return False


def _near(values: FloatArray, anchor: Float64Array, reach: Float64Array | float) -> Float64Array:
    return np.asarray(np.clip(values, anchor - reach, anchor + reach))
