# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiles: sprites of a grid stay where they are; only their tints change."""

from __future__ import annotations

from .constraint import Constraint, ConstraintContext


class Tiles(Constraint):
    """Keeps places, sizes, angles and opacities."""

    @classmethod
    def of(cls, context: ConstraintContext) -> Tiles | None:
        """See `Constraint`."""
        placement = context.placement
        return None if placement is None or placement.size is None else cls()

    def frozen(self, done: int) -> frozenset[str]:
        """See `Constraint`."""
        return frozenset({"x", "y", "log_scale", "theta", "opacity"})

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return False
