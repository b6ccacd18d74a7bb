# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate for each sprite: it may move as far as what is seen of it got worse, and not at all where nothing did.

Adam's steps are as long as its rate however small the gradient, so without one a film that stands still flickers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float32Array, Float64Array, FloatArray
from ...motion import Flow, moved
from ...motion.measures import blurred
from ...raster import PixelWeights


@dataclass(frozen=True)
class GateSettings:
    """When a gate opens.

    Attributes:
        still: levels of 255 by which the mean of what is seen of a sprite may get worse without any effect.
        open: further levels at which the gate is wide open.
        neighborhood: pixels of a side over which an error is averaged.
        least: opening below which a gate stays shut.
    """

    still: float = 0.0
    open: float = 4.0
    neighborhood: int = 5
    least: float = 0.02


def worsening(error: FloatArray, error_before: FloatArray, change: FloatArray, flow: Flow, side: int) -> Float32Array:
    """[H, W]: by how many levels the picture got worse since the last frame, at least 0.

    Args:
        error: [H, W] of the moved sprites against the target, levels.
        error_before: [H, W] of the last frame's picture against its target.
        change: [H, W] of the target in place: what got worse at most where the flow says nothing.
        flow: between them.
        side: of the neighborhood, pixels.
    """
    expected = moved(error_before, flow.back, smooth=False)
    worse = np.where(flow.back_agrees, error - expected, np.minimum(error, change))
    return np.maximum(blurred(worse, side), 0)


def gates(worse: Float32Array, seen: PixelWeights, settings: GateSettings) -> Float64Array:
    """[N]: how far each sprite may move, 0 to 1; 0 for what is not seen.

    Args:
        worse: [H, W] as `worsening` returns it.
        seen: what is seen of the moved sprites.
        settings: see there.
    """
    found = np.clip((seen.means(worse) - settings.still) / settings.open, 0, 1)
    return np.where(found < settings.least, 0.0, found)
