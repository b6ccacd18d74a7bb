# SPDX-License-Identifier: GPL-3.0-or-later
"""Overdraw (depth complexity): penalties on too many layers, and on their being many here and few there.

With all opacities divided by a thousand, a picture's alpha is nearly the sum of all sprites' alphas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import AnyArray, Float32Array, Float64Array, FloatArray
from ...raster import Scene, draw, drawing
from ...sprites import Sprites
from ..strategy.importance import one_channel
from .constraint import Constraint, ConstraintContext
from .visible_fraction import FinishedCanvas


@dataclass(frozen=True)
class OverdrawSettings:
    """How the constraint acts.

    Attributes:
        probe_opacity: factor of the opacities: n layers are counted as n (1 - n / 2000).
        too_many: weight of twice the layers that are allowed, against a squared error of 1 all over.
        uneven: weight of a spread of the layers as large as their mean, at even coverage 1, against the same.
        proposals_until: fraction of the steps up to which proposals are accepted, which are judged by the error alone.
    """

    probe_opacity: float = 1e-3
    too_many: float = 0.03
    uneven: float = 0.05
    proposals_until: float = 0.5


class Overdraw(Constraint):
    """Pushes the fit towards few layers, and even ones.

    Args:
        max_overlap: mean number of layers over a point of the target that costs nothing; None for any.
        even_coverage: weight of the evenness, 0 to 1.
        canvas: what the finished picture is drawn with.
        steps: of the frame.
        settings: see `OverdrawSettings`.
    """

    has_penalty = True

    def __init__(
        self,
        max_overlap: float | None,
        even_coverage: float,
        canvas: FinishedCanvas,
        steps: int,
        settings: OverdrawSettings = OverdrawSettings(),
    ) -> None:
        self._max_overlap, self._even_coverage = max_overlap, even_coverage
        self._canvas, self._steps, self._settings = canvas, max(steps, 1), settings

    @classmethod
    def of(cls, context: ConstraintContext) -> Overdraw | None:
        """See `Constraint`."""
        job = context.job
        if job.max_overlap is None and not job.even_coverage:
            return None
        return cls(job.max_overlap, job.even_coverage, context.canvas, context.settings.steps)

    def layers(self, scene: Scene[AnyArray]) -> Float64Array:
        """[h, w]: the sum of the alphas of all sprites over each pixel, occluded ones too."""
        return self._counted(draw(self._probe(scene), self._canvas.back_end))

    def _probe(self, scene: Scene[AnyArray]) -> Scene[AnyArray]:
        """The scene, so faint that its picture's alpha counts layers."""
        opacity = self._settings.probe_opacity * scene.opacity
        return replace(scene.tinted(np.zeros((len(scene), 3))), opacity=opacity, stop=0.0)

    def _counted(self, image: Float32Array) -> Float64Array:
        return image[..., 3].astype(np.float64) / self._settings.probe_opacity

    def penalty_gradient(
        self, scene: Scene[AnyArray], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """See `Constraint`. Nothing is kept from step to step."""
        settings = self._settings
        drawn = drawing(self._probe(scene), self._canvas.back_end)
        layers = LayerStatistics(self._counted(drawn.image), cover)
        by_mean, by_spread = 0.0, 2 * settings.uneven * self._even_coverage * layers.spread
        if self._max_overlap is not None:
            excess = max(layers.mean / self._max_overlap - 1, 0.0)
            by_mean = 2 * settings.too_many * excess / self._max_overlap
        by_layers = layers.gradient(by_mean, by_spread)
        # The opacities are smaller by that factor, and the alphas are counted larger by it.
        gradients = drawn.gradients(one_channel(by_layers / settings.probe_opacity, 3))
        return gradients.affine, settings.probe_opacity * gradients.opacity, np.zeros(len(scene))

    def report(self, sprites: Sprites, target: Float32Array) -> dict[str, float]:
        """See `Constraint`: the mean number of layers over a point of the target, and its relative deviation."""
        layers = LayerStatistics(self.layers(self._canvas.scene(sprites)), target[..., 3])
        return {"layers": layers.mean, "layers_spread": layers.spread}

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return done / self._steps < self._settings.proposals_until


class LayerStatistics:
    """A number of layers over where a target is.

    Args:
        layers: [H, W] the number.
        cover: [H, W] alpha of the target.

    Attributes:
        mean: of the layers over the target.
        spread: their deviation, relative to the mean.
    """

    def __init__(self, layers: Float64Array, cover: FloatArray) -> None:
        alpha = cover.astype(np.float64)
        self._weight = alpha / max(float(alpha.sum()), 1e-9)
        self.mean = float((self._weight * layers).sum())
        self._off = layers - self.mean
        self._deviation = float(np.sqrt((self._weight * self._off**2).sum() + 1e-12))
        self.spread = self._deviation / max(self.mean, 1e-6)

    def gradient(self, by_mean: float, by_spread: float) -> Float64Array:
        """[H, W]: a gradient by mean and spread as one by the layers."""
        if self.mean > 1e-6:
            by_mean -= by_spread * self.spread / self.mean
        by_deviation = by_spread / max(self.mean, 1e-6)
        return self._weight * (by_mean + by_deviation * self._off / self._deviation)
