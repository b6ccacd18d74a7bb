# SPDX-License-Identifier: GPL-3.0-or-later
"""A palette: sprites have one of a few tints, and no other.

The color nearest to the optimal free tint is not the best one of a few: what lies above and below has few to choose
from too. So tints snap to the nearest color early, and change later wherever the loss, to second order, would fall by
it (docs/fitting-measurements.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array, Float64Array, FloatArray, Int64Array
from ...colour import linear_from_srgb, parse_hex, srgb_from_linear
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..strategy.importance import tint_response
from .constraint import Constraint, ConstraintContext

SATURATED = 200.0
"""Logit of a channel that is 0 or 1: its sigmoid is exactly that in single precision, and its gradient 0."""


@dataclass(frozen=True)
class PaletteSettings:
    """When tints snap and change.

    Attributes:
        first: fraction of the steps after which tints are in the palette.
        last: fraction of the steps after which they no longer change.
        interval: steps from one change to the next.
        probes: random pictures with which the curvature is estimated.
        caution: factor on the curvature, because other sprites change at the same time.
        max_fraction: of the sprites whose tint changes at a time, at most.
    """

    first: float = 0.2
    last: float = 0.9
    interval: int = 8
    probes: int = 4
    caution: float = 1.5
    max_fraction: float = 0.1


class PaletteConstraint(Constraint):
    """Every tint is one of the palette's colors.

    Args:
        palette: the colors.
        steps: of the frame.
        is_later_frame: tints are in the palette from the first step on, and do not change.
    """

    def __init__(
        self, palette: Palette, steps: int, is_later_frame: bool, settings: PaletteSettings = PaletteSettings()
    ) -> None:
        self._palette, self._steps, self._settings = palette, max(steps, 1), settings
        self._is_later_frame = is_later_frame

    @classmethod
    def of(cls, context: ConstraintContext) -> PaletteConstraint | None:
        """See `Constraint`."""
        job = context.job
        if job.palette is None:
            return None
        palette = Palette(palette_colors(job.palette, job.blend_space), job.blend_space)
        return cls(palette, context.settings.steps, context.is_later_frame)

    def before_step(self, optimiser: Optimiser, constraints: object) -> None:
        """Snap the tints, and now and then change some for better ones."""
        if not self._holds(optimiser.done):
            return
        settings, parameters = self._settings, optimiser.parameters
        tint = parameters.array("tint")
        tint[...] = self._palette.snapped(tint)
        may_change = not self._is_later_frame and optimiser.done / self._steps < settings.last
        if may_change and optimiser.done % settings.interval == 0:
            gradient, curvature = tint_response(optimiser, settings.probes, optimiser.done)
            tint[...] = self._palette.better(tint, gradient, settings.caution * curvature, settings.max_fraction)
        parameters.changed()

    def frozen(self, done: int) -> frozenset[str]:
        """See `Constraint`."""
        return frozenset({"tint"}) if self._holds(done) else frozenset()

    def finish(self, sprites: Sprites) -> Sprites:
        """See `Constraint`."""
        result = sprites.copy()
        result.tint[...] = self._palette.nearest(sprites.tint)
        return result

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return not self._holds(done)

    def _holds(self, done: int) -> bool:
        return self._is_later_frame or done / self._steps >= self._settings.first


class Palette:
    """P colors.

    Args:
        colors: [P, 3] float32, in the blend space.
        space: the blend space.
    """

    def __init__(self, colors: Float32Array, space: BlendSpace) -> None:
        self._colors = colors
        self._space: BlendSpace = space
        self._displayed = self._display_encoded(colors.astype(np.float64))
        exact = np.clip(colors.astype(np.float64), 1e-12, 1 - 1e-12)
        self._logits = np.log(exact / (1 - exact))
        self._logits[colors <= 0] = -SATURATED
        self._logits[colors >= 1] = SATURATED

    def nearest(self, tint: FloatArray) -> Float32Array:
        """The palette's colors that look most like the tints [N, 3], all in the blend space: [N, 3], exactly."""
        return self._colors[self._choice(tint.astype(np.float64))]

    def snapped(self, logits: Float64Array) -> Float64Array:
        """The nearest colors of the palette, as logits; all [N, 3]."""
        return self._logits[self._choice(_sigmoid(logits))]

    def better(
        self, logits: Float64Array, gradient: Float64Array, curvature: Float64Array, max_fraction: float
    ) -> Float64Array:
        """Tints as logits [N, 3], some of which have changed to the color that lowers the loss most, to second order.

        Args:
            logits: [N, 3], all in the palette.
            gradient: [N, 3] of the loss by the tint.
            curvature: [N] second derivative of the loss by a channel of the tint.
            max_fraction: of the sprites that change, at most.
        """
        chosen = self._choice(_sigmoid(logits))
        step = self._colors.astype(np.float64)[:, None] - self._colors[chosen]
        change = (step * gradient).sum(axis=2) + 0.5 * curvature * (step**2).sum(axis=2)
        best = change.argmin(axis=0)
        gain = change[best, np.arange(len(best))]
        order = np.argsort(gain, kind="stable")[: max(1, int(max_fraction * len(best)))]
        order = order[gain[order] < 0]
        result = logits.copy()
        result[order] = self._logits[best[order]]
        return result

    def _choice(self, tint: Float64Array) -> Int64Array:
        """[N]: index of the color that looks most like each tint [N, 3], by display-encoded distance."""
        displayed = self._display_encoded(tint)
        distance = [((displayed - color) ** 2).sum(axis=1) for color in self._displayed]
        chosen: Int64Array = np.stack(distance, axis=1).argmin(axis=1)
        return chosen

    def _display_encoded(self, colors: Float64Array) -> Float64Array:
        return colors if self._space == "srgb" else srgb_from_linear(colors).astype(np.float64)


def palette_colors(palette: Sequence[str], space: BlendSpace) -> Float32Array:
    """[P, 3] float32 in the blend space: colors given as ``"#rrggbb"``."""
    displayed = np.array([parse_hex(color) for color in palette], np.float32)
    return displayed if space == "srgb" else linear_from_srgb(displayed)


def _sigmoid(logits: Float64Array) -> Float64Array:
    return 1 / (1 + np.exp(-logits))
