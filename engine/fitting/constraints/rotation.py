# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation steps: sprites turn by multiples of one angle only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...arrays import Float64Array, FloatArray
from ...sprites import Sprites
from ..optimiser import Optimiser
from .constraint import Constraint, ConstraintContext

if TYPE_CHECKING:
    from . import Constraints


@dataclass(frozen=True)
class RotationSettings:
    """When angles snap.

    Attributes:
        first: fraction of the steps after which angles are multiples of the step.
        few: number of angles below which they are so from the first step on: sprites that find their places at angles
            of their own lose them when these are taken away.
    """

    first: float = 0.5
    few: int = 16


class RotationSteps(Constraint):
    """Every angle is a multiple of a full turn divided by `rotation_steps`.

    Args:
        rotation_steps: number of angles that a full turn has.
        steps: of the frame.
        is_later_frame: angles hold from the first step on.
    """

    def __init__(
        self,
        rotation_steps: int,
        steps: int,
        is_later_frame: bool,
        settings: RotationSettings = RotationSettings(),
    ) -> None:
        self._turn = 2 * np.pi / rotation_steps
        self._steps, self._settings = max(steps, 1), settings
        self._from_start = is_later_frame or rotation_steps < settings.few

    @classmethod
    def of(cls, context: ConstraintContext) -> RotationSteps | None:
        """See `Constraint`."""
        rotation_steps = context.job.rotation_steps
        if rotation_steps is None:
            return None
        return cls(rotation_steps, context.settings.steps, context.is_later_frame)

    def start(self, sprites: Sprites) -> Sprites:
        """See `Constraint`."""
        return replace(sprites, theta=self._snapped(sprites.theta)) if self._holds(0) else sprites

    def before_step(self, optimiser: Optimiser, constraints: Constraints) -> None:
        """Snap all angles; sprites that this moves out of their region come back."""
        if not self._holds(optimiser.done):
            return
        theta = optimiser.parameters.array("theta")
        snapped = self._snapped(theta)
        if (snapped == theta).all():
            return
        theta[...] = snapped
        optimiser.parameters.changed()
        constraints.settle(optimiser)
        # On their way through single precision the angles of those that were moved have lost digits.
        theta = optimiser.parameters.array("theta")
        theta[...] = self._snapped(theta)
        optimiser.parameters.changed()

    def frozen(self, done: int) -> frozenset[str]:
        """See `Constraint`."""
        return frozenset({"theta"}) if self._holds(done) else frozenset()

    def finish(self, sprites: Sprites) -> Sprites:
        """See `Constraint`."""
        return replace(sprites, theta=self._snapped(sprites.theta).astype(np.float32))

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return not self._holds(done)

    def _holds(self, done: int) -> bool:
        return self._from_start or done / self._steps >= self._settings.first

    def _snapped(self, theta: FloatArray) -> Float64Array:
        """The nearest multiples of the step, radians."""
        result: Float64Array = np.rint(theta.astype(np.float64) / self._turn) * self._turn
        return result
