# SPDX-License-Identifier: GPL-3.0-or-later
"""Drops opaque sprites that only harm: the picture would be closer to the target without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..optimiser import Optimiser
from .importance import removal_errors
from .relocate import spaced


@dataclass(frozen=True)
class DropSettings:
    """When and how sprites are dropped that a least opacity keeps from fading away.

    Attributes:
        at: fraction of the steps after which they are; what they were in the way of settles in the rest.
        rounds: at most: sprites that touch are not dropped at once, as one of them may do for both.
    """

    at: float = 0.9
    rounds: int = 6

    def is_due(self, done: int, steps: int) -> bool:
        """Whether sprites are dropped after `done` of `steps` steps."""
        return done == round(self.at * steps)


def drop_harmful(optimiser: Optimiser, settings: DropSettings) -> int:
    """Drop the sprites without which the error would be smaller, but for the last one. Returns how many they are."""
    before = len(optimiser.parameters.template)
    optimiser.objective.use_level(1)
    for _ in range(settings.rounds):
        gain = -removal_errors(optimiser)
        harmful = np.flatnonzero(gain > 0)
        if not len(harmful) or len(gain) == 1:
            break
        first = spaced(optimiser.sprites().take(harmful), gain[harmful], min(len(harmful), len(gain) - 1))
        optimiser.parameters.keep(np.delete(np.arange(len(gain)), harmful[first]))
    return before - len(optimiser.parameters.template)
