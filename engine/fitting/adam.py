# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam (Kingma and Ba, 2015, algorithm 1) on a few arrays with rates of their own.

torch.optim has one, but making it imports torch's compiler, most of a second for a program whose job may take two; and
sprites that move within the stack want to take their moments along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Adam:
    """Steps parameters, each [N, ...], against their gradients.

    Args:
        parameters: leaf tensors by name; a step changes them in place.
        betas: decay of the means of the gradients and of their squares.

    Attributes:
        mean, square: those means by name, with the shape of the parameter.
    """

    def __init__(self, parameters: Mapping[str, Tensor], betas: tuple[float, float]) -> None:
        self._parameters = dict(parameters)
        self._betas = betas
        self._steps = 0
        self.mean = {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        self.square = {name: torch.zeros_like(p) for name, p in self._parameters.items()}

    def step(self, rates: Mapping[str, float], factors: Mapping[str, Tensor] | None = None) -> None:
        """One step; gradients are cleared. The first one is as long as the rate, which has the parameter's unit.

        `factors` holds further factors of the rates for each entry of some parameters.
        """
        first, second, first_bias, second_bias = self.begin_step()
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                if parameter.grad is None:
                    continue
                mean, square = self.mean[name], self.square[name]
                mean.lerp_(parameter.grad, 1 - first)
                square.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
                # The smallest normal number keeps a parameter without any gradient where it is.
                length = (square / second_bias).sqrt_().clamp_(min=torch.finfo(square.dtype).tiny)
                direction = mean / length
                if factors is not None and name in factors:
                    direction *= factors[name]
                parameter.sub_(direction, alpha=rates[name] / first_bias)
                parameter.grad = None

    def begin_step(self) -> tuple[float, float, float, float]:
        """Counts a step that is about to be made, here or elsewhere.

        Returns: both decays, and 1 minus their powers by the number of steps.
        """
        self._steps += 1
        first, second = self._betas
        return first, second, 1 - first**self._steps, 1 - second**self._steps

    def reorder(self, order: Tensor) -> None:
        """Let the moments follow their sprites: entry i is what entry order[i] was."""
        for name in self._parameters:
            for moments in (self.mean, self.square):
                moments[name] = moments[name][order]

    def begin_anew(self, which: Tensor) -> None:
        """Forget the past of the sprites `which`.

        They get no momentum, and steps as long as the others': squares of 0 would let the first step leap.
        """
        for name in self._parameters:
            self.mean[name][which] = 0.0
            self.square[name][which] = self.square[name].mean(dim=0)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that `restore` needs."""
        state: dict[str, NDArray[Any]] = {"steps": np.array(self._steps)}
        for name in self._parameters:
            state[f"mean.{name}"] = self.mean[name].numpy().copy()
            state[f"square.{name}"] = self.square[name].numpy().copy()
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned. Raises KeyError or RuntimeError where it does not fit the parameters."""
        self._steps = int(state["steps"])
        for name in self._parameters:
            self.mean[name].copy_(torch.from_numpy(state[f"mean.{name}"]))
            self.square[name].copy_(torch.from_numpy(state[f"square.{name}"]))
