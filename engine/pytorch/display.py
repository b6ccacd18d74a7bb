# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB curve on tensors (see `smalti.engine.colour`), differentiable."""

from __future__ import annotations

import torch
from torch import Tensor


def encoded(linear: Tensor) -> Tensor:
    """The display-encoded values of linear light, any shape."""
    # The gradient of the power stays finite where its result is not used.
    safe = linear.clamp(min=0.0031308)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * safe ** (1 / 2.4) - 0.055)


def decoded(color: Tensor) -> Tensor:
    """Linear light of display-encoded values, any shape: the inverse of `encoded`."""
    safe = color.clamp(min=0.04045)
    return torch.where(color <= 0.04045, color / 12.92, ((safe + 0.055) / 1.055) ** 2.4)


def encoded_picture(image: Tensor) -> Tensor:
    """A picture [h, w, 4] in linear light as a display shows it: colors encoded, alpha unchanged."""
    return torch.cat([encoded(image[..., :3]), image[..., 3:]], dim=-1)
