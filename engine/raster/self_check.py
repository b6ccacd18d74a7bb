# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a back end works here: what can be imported may still not run, or compute something else."""

from __future__ import annotations

import numpy as np
import torch

from . import build_atlas, composite


def matches_reference(back_end: str) -> bool:
    """Draw and differentiate two sprites, and compare with the reference. Raises whatever the back end raises."""
    atlas = build_atlas([np.ones((8, 8, 4)), np.full((3, 5, 4), 0.5)])
    results = []
    for name in (back_end, "reference"):
        # Crooked numbers: no pixel lies on the border between two texels, where the slope jumps.
        maps = [0.153, 0.021, -1.013, 0.0117, 0.1231, -1.007], [0.1013, -0.0991, 0.2037, 0.1973, 0.2011, -3.0171]
        affine = torch.tensor(maps, dtype=torch.float64, requires_grad=True)
        opacity, tint = torch.tensor([0.7, 0.9]), torch.tensor([[0.2, 0.4, 0.9], [0.9, 0.5, 0.1]])
        image = composite(affine, opacity, tint, torch.tensor([0, 1]), atlas, (18, 20), mix=0.5, back_end=name)
        image.square().sum().backward()
        assert affine.grad is not None
        results.append((image.detach().double(), affine.grad))
    (image, grad), (true, true_grad) = results
    close = (grad - true_grad).norm() < 1e-3 * true_grad.norm()
    return bool((image - true).abs().max() < 1e-4) and bool(close)
