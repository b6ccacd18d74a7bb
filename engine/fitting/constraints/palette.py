# SPDX-License-Identifier: GPL-3.0-or-later
"""A palette: sprites have one of a few tints, and no other.

The color nearest to the optimal free tint is not the best one of a few: what lies above and below has few to choose
from too. So tints snap early, and change later (docs/fitting-measurements.md): the tint that a sprite should have, by
the loss's gradient and curvature, takes the color that looks most like it. Of an opaque sprite a wrong hue counts more
than a wrong lightness; faint ones mix to other hues. The light that neighbors lack is added to it before, so that few
colors mix to more for a distant eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array, Float64Array, FloatArray, Int64Array
from ...colour import LUMA, linear_from_srgb, parse_hex, srgb_from_linear
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..strategy.importance import tint_response
from .appearance import difference, oklab
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
        max_fraction: of the sprites whose tint changes at a time, at most.
        hue_weight: see `.appearance.difference`; of an opaque sprite.
        diffusion: factor of the light that a sprite's neighbors lack on average.
        neighbors: how many there are of them, about.
        mixing: light that is added to the tint that a sprite should have, or taken, at most.
        excess: of a tint that a sprite should have, beyond 0 to 1, at most.
        max_of_cell: of neighbors whose tint changes at a time, at most, beside one: all would make up for the same.
        reluctance: a color is changed for one whose squared difference is below this fraction of its own.
    """

    first: float = 0.2
    last: float = 0.9
    interval: int = 8
    max_fraction: float = 0.1
    hue_weight: float = 3.5
    diffusion: float = 1.5
    neighbors: int = 12
    mixing: float = 0.12
    excess: float = 0.1
    reluctance: float = 0.85
    max_of_cell: float = 0.1


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
            gradient, curvature = tint_response(optimiser)
            tint[...] = self._palette.better(tint, gradient, curvature, _near(optimiser, settings), parameters.opacity)
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


def _near(optimiser: Optimiser, settings: PaletteSettings) -> Int64Array:
    """[N]: the cell of a grid that each sprite lies in; a cell has about `settings.neighbors` sprites."""
    parameters, (height, width) = optimiser.parameters, optimiser.size
    side = max(1.0, (height * width * settings.neighbors / max(len(parameters), 1)) ** 0.5)
    column, row = (np.clip(parameters.array(name) / side, 0, 1e6).astype(np.int64) for name in ("x", "y"))
    cells: Int64Array = np.unique(row * (int(width / side) + 2) + column, return_inverse=True)[1]
    return cells


def _rank(cell: Int64Array) -> Int64Array:
    """[M]: how many entries before each are of the same cell."""
    order = np.argsort(cell, kind="stable")
    _, first, counts = np.unique(cell[order], return_index=True, return_counts=True)
    rank = np.empty(len(cell), np.int64)
    rank[order] = np.arange(len(cell)) - np.repeat(first, counts)
    return rank


class Palette:
    """P colors.

    Args:
        colors: [P, 3] float32, in the blend space.
        space: the blend space.
        settings: see `PaletteSettings`.
    """

    def __init__(self, colors: Float32Array, space: BlendSpace, settings: PaletteSettings = PaletteSettings()) -> None:
        self._colors = colors
        self._space: BlendSpace = space
        self._settings = settings
        self._looks = oklab(self._display_encoded(colors.astype(np.float64)))
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
        self,
        logits: Float64Array,
        gradient: Float64Array,
        curvature: Float64Array,
        cell: Int64Array,
        opacity: Float64Array,
    ) -> Float64Array:
        """Tints as logits [N, 3], some of which have changed to a color that comes nearer to what they should be.

        Args:
            logits: [N, 3], all in the palette.
            gradient: [N, 3] of the loss by the tint.
            curvature: [N] second derivative of the loss by a channel of the tint.
            cell: [N] sprites with the same number are neighbors.
            opacity: [N] 0 to 1.
        """
        settings, chosen = self._settings, self._choice(_sigmoid(logits))
        now = self._colors.astype(np.float64)[chosen]
        visible = np.maximum(curvature, 1e-3 * curvature.mean() + 1e-30)
        lacking = np.clip(now - gradient / visible[:, None], -settings.excess, 1 + settings.excess) - now
        # Of light alone: neighbors that are too red would want one that is too green.
        light = lacking @ np.array(LUMA)
        around = np.bincount(cell, visible * light) / np.bincount(cell, visible)
        mixed = np.clip(settings.diffusion * around[cell], -settings.mixing, settings.mixing)
        distance = self._distance(now + lacking + mixed[:, None], 1 + (settings.hue_weight - 1) * opacity**4)
        index = np.arange(len(chosen))
        best = distance.argmin(axis=1)
        gain = settings.reluctance * distance[index, chosen] - distance[index, best]
        order = np.argsort(-visible * gain, kind="stable")
        order = order[(gain[order] > 0) & (best[order] != chosen[order])]
        order = order[_rank(cell[order]) < 1 + settings.max_of_cell * np.bincount(cell)[cell[order]]]
        order = order[: max(1, int(settings.max_fraction * len(best)))]
        result = logits.copy()
        result[order] = self._logits[best[order]]
        return result

    def _choice(self, tint: Float64Array) -> Int64Array:
        """[N]: index of the color that looks most like each tint [N, 3]."""
        chosen: Int64Array = self._distance(tint, 1.0).argmin(axis=1)
        return chosen

    def _distance(self, tint: Float64Array, hue_weight: Float64Array | float) -> Float64Array:
        """[N, P]: how unlike each tint [N, 3] is to each color; `hue_weight` is one number or [N]."""
        looks = oklab(self._display_encoded(tint))
        return np.stack([difference(looks, color, hue_weight) for color in self._looks], axis=1)

    def _display_encoded(self, colors: Float64Array) -> Float64Array:
        return colors if self._space == "srgb" else srgb_from_linear(colors).astype(np.float64)


def palette_colors(palette: Sequence[str], space: BlendSpace) -> Float32Array:
    """[P, 3] float32 in the blend space: colors given as ``"#rrggbb"``."""
    displayed = np.array([parse_hex(color) for color in palette], np.float32)
    return displayed if space == "srgb" else linear_from_srgb(displayed)


def _sigmoid(logits: Float64Array) -> Float64Array:
    return 1 / (1 + np.exp(-logits))
