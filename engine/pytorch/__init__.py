# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti for PyTorch, the extra ``smalti[torch]``: the rasteriser as functions that torch differentiates.

`composite` draws sprites from tensors, on the CPU or on an NVIDIA GPU, and `image_loss` compares what it would draw
with a goal in one pass. Beside them stand the reference back end, which every other is tested against, and networks.
"""

from __future__ import annotations

try:
    import torch as _torch
except ImportError as fault:
    raise ImportError('smalti.engine.pytorch needs PyTorch. Install it: pip install "smalti[torch]"') from fault

from ..raster import Scene as Scene
from ..raster import build_atlas as build_atlas
from .autograd import composite, draw, image_loss

__all__ = ["composite", "draw", "image_loss"]

del _torch
