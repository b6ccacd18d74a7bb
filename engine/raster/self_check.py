# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a back end works here: what can be imported may still not run, or compute something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Scene, build_atlas, drawing
from .backends import FINISHED_BACK_END

TRUE_SUM = 478.2747230
TRUE_LENGTH = 2730.165830
"""Of the picture and of the gradient of `small_scene`, by the reference back end in double precision."""


def small_scene() -> Scene[Any]:
    """Two sprites that overlap, on 18 x 20 pixels."""
    # Crooked numbers: no pixel lies on the border between two texels, where the slope jumps.
    maps = [0.153, 0.021, -1.013, 0.0117, 0.1231, -1.007], [0.1013, -0.0991, 0.2037, 0.1973, 0.2011, -3.0171]
    return Scene(
        np.array(maps),
        np.array([0.7, 0.9]),
        np.array([[0.2, 0.4, 0.9], [0.9, 0.5, 0.1]]),
        np.array([0, 1]),
        build_atlas([np.ones((8, 8, 4)), np.full((3, 5, 4), 0.5)]),
        (18, 20),
        mix=0.5,
    )


def kernels_work() -> bool:
    """Draw and differentiate two sprites on the CPU, and compare with what is known. Raises what the kernels raise."""
    image, gradients = _picture_and_gradients(FINISHED_BACK_END)
    length = float(np.linalg.norm(gradients))
    return abs(float(image.sum()) - TRUE_SUM) < 1e-3 * TRUE_SUM and abs(length - TRUE_LENGTH) < 1e-3 * TRUE_LENGTH


def agrees_with_cpu(back_end: str) -> bool:
    """Draw and differentiate two sprites, and compare with the CPU. Raises whatever the back end raises."""
    (image, gradients), (true, true_gradients) = map(_picture_and_gradients, (back_end, FINISHED_BACK_END))
    off = float(np.linalg.norm(gradients - true_gradients))
    return bool(np.abs(image - true).max() < 1e-4) and off < 1e-3 * float(np.linalg.norm(true_gradients))


def _picture_and_gradients(back_end: str) -> tuple[Any, Any]:
    """The picture [18, 20, 4], and the gradient [2, 6] of its squares' sum by the maps."""
    scene = small_scene()
    drawn = drawing(scene, back_end)
    return drawn.image, drawn.gradients(2 * drawn.image).affine
