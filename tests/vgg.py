# SPDX-License-Identifier: GPL-3.0-or-later
"""Random weights for VGG16: the published ones are not part of Smalti."""

from __future__ import annotations

import torch
from torch import Tensor

from smalti.engine.pytorch.vgg import Features


def random_weights() -> dict[str, Tensor]:
    """A state dict of VGG16's shapes whose activations neither vanish nor explode, with a name that is not used."""
    rng = torch.Generator().manual_seed(0)
    state = {"classifier.0.bias": torch.zeros(7)}
    index, channels = 0, 3
    for width in Features.WIDTHS:
        if width:
            scale = (2 / (9 * channels)) ** 0.5
            state[f"features.{index}.weight"] = scale * torch.randn(width, channels, 3, 3, generator=rng)
            state[f"features.{index}.bias"] = 0.1 * torch.randn(width, generator=rng)
            channels = width
        index += 2 if width else 1
    return state
