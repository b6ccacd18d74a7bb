# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam's moments (Kingma and Ba, 2015) of a set of sprites; they move with their sprites within the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import AnyArray, Float64Array, Int64Array


class Moments:
    """The decayed means of gradients and of their squares. The kernels' fused steps change them.

    Args:
        parameters: [N, ...] by name, those that are optimized.
        betas: decay of the means of the gradients and of their squares.

    Attributes:
        mean, square: those means by name, with the shape of the parameter.
    """

    def __init__(self, parameters: Mapping[str, Float64Array], betas: tuple[float, float]) -> None:
        self._betas = betas
        self._steps = 0
        self.mean = {name: np.zeros_like(values) for name, values in parameters.items()}
        self.square = {name: np.zeros_like(values) for name, values in parameters.items()}

    def begin_step(self) -> tuple[float, float, float, float]:
        """Count a step that is about to be made.

        Returns:
            Both decay rates, and 1 minus their powers by the number of steps (the bias corrections).
        """
        self._steps += 1
        first, second = self._betas
        return first, second, 1 - first**self._steps, 1 - second**self._steps

    def reorder(self, order: Int64Array) -> None:
        """Let the moments follow their sprites: entry i is what entry order[i] was."""
        for moments in (self.mean, self.square):
            for name, values in moments.items():
                moments[name] = values[order]

    def reset(self, which: Int64Array) -> None:
        """Reset the moments of the sprites `which` [M].

        They get no momentum, and the mean second moment of all: with 0 the first step would leap.
        """
        for name, square in self.square.items():
            self.mean[name][which] = 0.0
            square[which] = square.mean(axis=0)

    def state(self) -> dict[str, AnyArray]:
        """Everything that `restore` needs."""
        state: dict[str, Any] = {"steps": np.array(self._steps)}
        for name in self.mean:
            state[f"mean.{name}"] = self.mean[name].copy()
            state[f"square.{name}"] = self.square[name].copy()
        return state

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Go back to what `state` returned. Raises KeyError or ValueError where it does not fit the parameters."""
        self._steps = int(state["steps"])
        for kind, moments in (("mean", self.mean), ("square", self.square)):
            for name, values in moments.items():
                saved = state[f"{kind}.{name}"]
                if saved.shape != values.shape:
                    raise ValueError(f"{kind}.{name} has shape {saved.shape}, not {values.shape}")
                values[...] = saved
