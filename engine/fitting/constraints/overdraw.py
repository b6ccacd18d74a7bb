# SPDX-License-Identifier: GPL-3.0-or-later
"""Overdraw (depth complexity): penalties on too many layers, and on their being many here and few there.

With all opacities divided by a thousand, a picture's alpha is nearly the sum of all sprites' alphas, differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...arrays import Float32Array
from ...raster import Scene, draw
from ...sprites import Sprites
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

    def layers(self, scene: Scene[Tensor]) -> Tensor:
        """[h, w] float64: the sum of the alphas of all sprites over each pixel, occluded ones too; differentiable."""
        faint = self._settings.probe_opacity
        tint = torch.zeros(len(scene), 3, dtype=torch.float64)
        probe = replace(scene, opacity=faint * scene.opacity, tint=tint, mix=0.0, stop=0.0)
        return draw(probe, self._canvas.back_end)[..., 3].double() / faint

    def penalty_gradient(
        self, scene: Scene[Tensor], cover: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Constraint`. Nothing is kept from step to step."""
        settings = self._settings
        affine, opacity = scene.affine.detach().requires_grad_(), scene.opacity.detach().requires_grad_()
        mean, spread = mean_and_spread(self.layers(replace(scene, affine=affine, opacity=opacity)), cover)
        total = settings.uneven * self._even_coverage * spread.square()
        if self._max_overlap is not None:
            total = total + settings.too_many * (mean / self._max_overlap - 1).clamp(min=0).square()
        of_affine, of_opacity = torch.autograd.grad(total, (affine, opacity))
        return of_affine, of_opacity, torch.zeros_like(of_opacity)

    def report(self, sprites: Sprites, target: Float32Array) -> dict[str, float]:
        """See `Constraint`: the mean number of layers over a point of the target, and its relative deviation."""
        with torch.no_grad():
            layers = self.layers(self._canvas.scene(sprites))
            mean, spread = mean_and_spread(layers, torch.from_numpy(target[..., 3]))
        return {"layers": float(mean), "layers_spread": float(spread)}

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return done / self._steps < self._settings.proposals_until


def mean_and_spread(layers: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of a number of layers [H, W] over where the target is (its alpha, [H, W]), and its relative deviation."""
    weight = cover.double() / cover.double().sum().clamp(min=1e-9)
    mean = (weight * layers).sum()
    variance = (weight * (layers - mean).square()).sum()
    return mean, (variance + 1e-12).sqrt() / mean.clamp(min=1e-6)
