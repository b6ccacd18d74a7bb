# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam (Kingma and Ba, 2015, algorithm 1) on a few arrays with learning rates of their own.

torch.optim has one, but making it imports torch's compiler, most of a second for a program whose job may take two; and
the moments of sprites must move with them within the stack.
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

    def step(self, learning_rates: Mapping[str, float], factors: Mapping[str, Tensor] | None = None) -> None:
        """Make one step, and clear the gradients.

        Args:
            learning_rates: by name, in the parameter's unit: the length of the first step.
            factors: further factors of the learning rate for each entry of some parameters.
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
                parameter.sub_(direction, alpha=learning_rates[name] / first_bias)
                parameter.grad = None

    def begin_step(self) -> tuple[float, float, float, float]:
        """Count a step that is about to be made, here or in a fused kernel.

        Returns:
            Both decay rates, and 1 minus their powers by the number of steps (the bias corrections).
        """
        self._steps += 1
        first, second = self._betas
        return first, second, 1 - first**self._steps, 1 - second**self._steps

    def reorder(self, order: Tensor) -> None:
        """Let the moments follow their sprites: entry i is what entry order[i] was."""
        for name in self._parameters:
            for moments in (self.mean, self.square):
                moments[name] = moments[name][order]

    def reset(self, which: Tensor) -> None:
        """Reset the moments of the sprites `which` [M].

        They get no momentum, and the mean second moment of all: with 0 the first step would leap.
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
