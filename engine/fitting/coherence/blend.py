# SPDX-License-Identifier: GPL-3.0-or-later
"""The target blended with the last picture, moved by the flow: a coherence loss that costs nothing.

For the squared error, ``|R - T|^2 + w |R - M|^2`` is the fit to ``(T + w M) / (1 + w)``, but for a constant. So what is
near its moved predecessor comes out of an ordinary step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float32Array, FloatArray
from ...motion import Flow, moved
from ...motion.measures import blurred, difference


@dataclass(frozen=True)
class BlendSettings:
    """How much a frame is held to the one before.

    Attributes:
        weight: of the last picture against the target, where nothing but noise has changed.
        noise, changed: change of the target along the flow, levels of 255, up to which the weight is whole, and from
            which on it is 0.
        moving: part of the weight that remains where the target changes that much in place: what moves must not lag.
    """

    weight: float = 1.3
    noise: float = 4.0
    changed: float = 14.0
    moving: float = 0.3


def coherence_weight(before: FloatArray, now: FloatArray, flow: Flow, settings: BlendSettings) -> Float32Array:
    """[H, W]: how much the last picture counts against the target.

    Args:
        before, now: two frames of the target, [H, W, 4], display-encoded, 0 to 1.
        flow: between them.
        settings: see there.
    """
    change = blurred(difference(now, moved(before, flow.back, smooth=False)), 3)
    in_place = blurred(difference(now, before), 3)
    held, still = (
        np.clip((settings.changed - levels) / (settings.changed - settings.noise), 0, 1)
        for levels in (change, in_place)
    )
    held = held * (settings.moving + (1 - settings.moving) * still)
    return np.asarray(settings.weight * held * flow.back_agrees, np.float32)


def blended(target: Float32Array, last: Float32Array, weight: Float32Array) -> Float32Array:
    """[H, W, 4]: the target, and the last picture moved by the flow, by the weight [H, W] of the latter."""
    weight = weight[..., None]
    return np.asarray((target + weight * last) / (1 + weight), np.float32)
