# SPDX-License-Identifier: GPL-3.0-or-later
"""Perceptual distance: the features of VGG16 (Simonyan and Zisserman, 2014) of two pictures, compared as LPIPS does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arrays import Float32Array
from .losses import weighted_mean


class Features(nn.Module):
    """The first ten convolutions of VGG16, with frozen weights.

    Args:
        state: weights and biases by the names that torchvision gives them; others are ignored.

    Raises:
        ValueError: an array is missing, has another shape, or holds values that are not finite; the message names it.
    """

    WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)
    """Channels of each layer; 0 is a pooling layer, which halves the size."""
    TAPS = (3, 8, 15, 22)
    """Indices of the layers whose output is compared: the last of each size."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        with torch.device("meta"):  # no memory and no random numbers before the real ones come
            for width in self.WIDTHS:
                if width:
                    layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                    channels = width
                else:
                    layers.append(nn.MaxPool2d(2))
            self.features = nn.Sequential(*layers)
        chosen = {}
        for name, expected in self.state_dict().items():
            array = state.get(name)
            if not isinstance(array, Tensor):
                raise ValueError(f"{name} is missing")
            if array.shape != expected.shape:
                raise ValueError(f"{name} has shape {tuple(array.shape)}, not {tuple(expected.shape)}")
            chosen[name] = array.float()
            if not chosen[name].isfinite().all():
                raise ValueError(f"{name} holds values that are not finite")
        self.load_state_dict(chosen, assign=True)
        self.requires_grad_(False)

    def forward(self, colors: Tensor) -> list[Tensor]:
        """[1, 3, h, w], display-encoded -> features [1, channels, h', w'] at each size, of length 1 at each pixel."""
        dtype = next(self.parameters()).dtype
        # Mean and standard deviation of the photographs that the network was trained on.
        mean = torch.tensor([0.485, 0.456, 0.406], dtype=dtype).reshape(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225], dtype=dtype).reshape(1, 3, 1, 1)
        planes = (colors.to(dtype) - mean) / deviation
        features = []
        for index, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d) and min(planes.shape[2:]) < 2:
                break
            planes = layer(planes)
            if index in self.TAPS:
                features.append(planes / (planes.square().sum(dim=1, keepdim=True) + 1e-10).sqrt())
        return features


class FeatureDistance:
    """Squared distance between the features of two pictures, averaged over pixels and sizes.

    Args:
        network: the network.
    """

    def __init__(self, network: Features) -> None:
        self._network = network
        self._goal: tuple[Float32Array, list[Tensor]] | None = None

    def __call__(
        self, rendered: Float32Array, goal: Float32Array, weights: Float32Array | None
    ) -> tuple[float, Float32Array]:
        """The distance, and its gradient by the rendered picture.

        Args:
            rendered, goal: [3, h, w], display-encoded.
            weights: [h, w] how much each pixel counts; None for all alike.
        """
        # While the goal stays the same, half of the work need not be repeated.
        if self._goal is None or not np.array_equal(self._goal[0], goal):
            with torch.no_grad():
                self._goal = goal.copy(), self._network(torch.from_numpy(goal)[None])
        picture = torch.from_numpy(rendered)[None].requires_grad_()
        plane = None if weights is None else torch.from_numpy(weights)[None, None]
        total = self.distance(self._network(picture), self._goal[1], plane)
        (gradient,) = torch.autograd.grad(total, picture)
        return float(total.detach()), gradient[0].numpy()

    @staticmethod
    def distance(rendered: list[Tensor], goal: list[Tensor], weights: Tensor | None) -> Tensor:
        """That between features, with weights [1, 1, h, w] or None: a scalar."""
        total = rendered[0].new_zeros(())
        for ours, theirs in zip(rendered, goal, strict=True):
            of_pixel = weights
            if of_pixel is not None:
                of_pixel = functional.adaptive_avg_pool2d(of_pixel, (ours.shape[2], ours.shape[3])).to(ours.dtype)
            total = total + weighted_mean((ours - theirs).square().sum(dim=1, keepdim=True), of_pixel)
        return total / len(rendered)
