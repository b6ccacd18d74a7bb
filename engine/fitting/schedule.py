# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules: learning rates and the level-of-detail bias over the steps of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Schedule:
    """Adam's learning rates and the soft-to-sharp schedule.

    The defaults have short memories (betas): noise, the falling bias and relocated neighbors change gradients from step
    to step (docs/fitting-measurements.md).

    Attributes:
        learning_rates: at the first step: pixels (x, y), log of pixels, radians, logits.
        betas: Adam's decay rates.
        final_fraction: fraction of the learning rates at the last step, to which they fall linearly.
        decay: instead of that, the factor from each step to the next.
        lod_bias: level-of-detail bias at the first step, mip levels; above 0 it blurs the templates.
        lod_bias_until: fraction of the steps over which the bias falls to 0; None keeps it throughout.
        in_pixels: the learning rate of the scale is in pixels too, and both kinds of pixel are the canvas's own;
            otherwise scales change by factors, and those of positions are for a canvas of
            `reference_size`.
        reference_size: longer side of the canvas, pixels, for which the learning rates of positions are given.
    """

    learning_rates: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"x": 1.5, "y": 1.5, "log_scale": 0.14, "theta": 0.1, "opacity": 0.12, "tint": 0.12}
        )
    )
    betas: tuple[float, float] = (0.8, 0.95)
    final_fraction: float = 0.02
    decay: float | None = None
    lod_bias: float = 3.0
    lod_bias_until: float | None = 0.6
    in_pixels: bool = False
    reference_size: float = 512

    def learning_rate_factor(self, progress: float, done: int) -> float:
        """Of all learning rates, after `done` steps, which are the fraction `progress` of all."""
        return 1 - (1 - self.final_fraction) * progress if self.decay is None else self.decay**done

    def learning_rates_at(self, progress: float, done: int, longer_side: int, factor: float) -> dict[str, float]:
        """By name, for a step.

        Args:
            progress: fraction of the steps that are done.
            done: their number.
            longer_side: of the canvas, pixels.
            factor: further factor on all.
        """
        of_all = factor * self.learning_rate_factor(progress, done)
        pixels = 1.0 if self.in_pixels else longer_side / self.reference_size
        return {
            name: of_all * own * (pixels if name in ("x", "y") else 1.0) for name, own in self.learning_rates.items()
        }

    def lod_bias_at(self, progress: float) -> float:
        """Level-of-detail bias after the fraction `progress` of the steps, mip levels."""
        if self.lod_bias_until is None:
            return self.lod_bias
        return self.lod_bias * max(0.0, 1 - progress / self.lod_bias_until)
