# SPDX-License-Identifier: GPL-3.0-or-later
"""What a loss term compares: a rendered picture beside its goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Comparison:
    """A rendered picture beside its goal, and everything else that a loss term may look at.

    All planes are display-encoded, 0 to 1, and of one type: float32, or float64 in tests. What a term does not always
    need is there only if its row in the table asks for it (see `.losses.Needs`).

    Attributes:
        rendered: [1, 3, h, w] colors over an opaque background; differentiable.
        goal: [1, 3, h, w] what they should be; a constant, and the same tensor in each step while it does not change.
        weights: [1, 1, h, w] how much each pixel counts, of which only the proportions matter; None for all alike.
        opacity: [1, 1, h, w] alpha of the sprites alone, differentiable; if asked for.
        goal_opacity: [1, 1, h, w] alpha of the target; if asked for.
        previous: the finished frame before beside its goal, without weights; if asked for, and None in the first frame
            of a scene.
    """

    rendered: Tensor
    goal: Tensor
    weights: Tensor | None = None
    opacity: Tensor | None = None
    goal_opacity: Tensor | None = None
    previous: Comparison | None = None

    def mean(self, values: Tensor) -> Tensor:
        """The weighted mean over planes [1, channels, h, w]: a scalar."""
        return weighted_mean(values, self.weights)


Compare = Callable[[Comparison], Tensor]
"""A loss term: a scalar, differentiable by what is rendered, 0 where the goal is reached."""


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of planes [1, channels, h, w] with weights [1, 1, h, w], or None for all alike: a scalar."""
    return values.mean() if weights is None else (values * weights).mean() / weights.mean()


def halved(planes: Tensor) -> Tensor:
    """Planes of half the size, rounded up: means of 2 x 2 pixels."""
    return functional.avg_pool2d(planes, 2, ceil_mode=True)
