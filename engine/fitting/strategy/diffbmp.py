# SPDX-License-Identifier: GPL-3.0-or-later
"""The DiffBMP baseline (arXiv 2602.22625) on Smalti's renderer: what the adaptive strategy is measured against.

Hyperparameters are the paper's, and where it leaves them open those of its examples: the largest size at the start is
about what they have, and in cut-outs opacities change faster, the sprites' own alpha is compared with the target's, and
faint sprites begin again, time after time, half as large at most as the time before.

What cannot be the same: its Gaussian blur of a template, of one texel, is here a constant level-of-detail bias of one
mip level, the nearest that this renderer has; its templates are point-sampled, ours are not; it compares colors only
where the target is, while here they are compared everywhere over noise, outside the target too. Where a job bounds
sizes, these bounds hold throughout; there they hold at the start alone. The paper does not prune sprites where a
picture would be worse than the bare background; here every preset does (`pruning_rounds`), and the benchmark of quality
takes it away from this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from smalti.bridge.loss import Terms

from ...arrays import Int32Array, Int64Array, IntegerArray
from ...sprites import Sprites
from ..initialise import InitialiseSettings, SamplerSettings, SpriteSampler, initialise
from ..optimiser import Optimiser
from ..picture_statistics import box_mean
from ..schedule import Schedule
from . import FrameSettings


@dataclass(frozen=True)
class DiffBMP:
    """The baseline's hyperparameters.

    Attributes:
        fixed_steps: number of steps, whatever the count.
        learning_rate: Adam's, of angles and tints.
        position_learning_rate: of positions and sizes, pixels: with the paper's gain of 10.
        opacity_learning_rate: of opacities where there are 1,000 sprites: with its gain of 1.5.
        decay: factor of the learning rates from each step to the next.
        lod_bias: mip levels by which templates are blurred throughout.
        cut_out: whether the target has holes that must stay open.
        cut_out_gain: factor on the learning rate of opacities there: the paper's gain is 5 in place of 1.5.
        alpha_factor: of the term alpha that is added to the squared error there.
        smallest: half-size of the smallest sprite, pixels.
        largest_fraction: half-size of the largest, as a fraction of the shorter side.
        first_largest_fraction: half-size of the largest at initialization, likewise, within what the job allows.
        first_largest: what that is at least, pixels.
        flat_probability: of a pixel without any variance, against 1 for the one with most.
        size_noise, color_noise: standard deviations at initialization.
        opacity_logit: of every sprite at initialization.
        prune_interval: steps from one pruning to the next, in a cut-out.
        prune_after: steps before which none is pruned.
        prune_below: opacity below which a sprite begins again, as a fraction of the most opaque that it may be.
    """

    fixed_steps: int = 100
    learning_rate: float = 0.1
    position_learning_rate: float = 1.0
    opacity_learning_rate: float = 0.15
    decay: float = 0.99
    lod_bias: float = 1.0
    cut_out: bool = False
    cut_out_gain: float = 5 / 1.5
    alpha_factor: float = 0.3
    smallest: float = 2.0
    largest_fraction: float = 0.25
    first_largest_fraction: float = 0.08
    first_largest: float = 16.0
    flat_probability: float = 0.1
    size_noise: float = 0.1
    color_noise: float = 0.02
    opacity_logit: float = -2.0
    prune_interval: int = 50
    prune_after: int = 200
    prune_below: float = 0.3
    frames: FrameSettings = FrameSettings()
    background_is_mean: bool = True
    pruning_rounds: int = 6

    @property
    def sampler(self) -> SamplerSettings:
        """How sprites are made for given places; only after a cut, which the paper does not know."""
        return SamplerSettings()

    @property
    def added_terms(self) -> Terms:
        """See `Strategy`: alpha in a cut-out."""
        return (("alpha", self.alpha_factor),) if self.cut_out else ()

    def for_cut_out(self) -> DiffBMP:
        """See `Strategy`."""
        return replace(self, cut_out=True)

    def steps(self, count: int) -> int:
        """See `Strategy`."""
        return self.fixed_steps

    def schedule_of(self, count: int) -> Schedule:
        """See `Strategy`."""
        learning_rates = {
            "x": self.position_learning_rate,
            "y": self.position_learning_rate,
            "log_scale": self.position_learning_rate,
            "theta": self.learning_rate,
            "opacity": self.opacity_learning_rate * (self.cut_out_gain if self.cut_out else 1.0) * 1000 / count,
            "tint": self.learning_rate,
        }
        return Schedule(
            learning_rates, (0.9, 0.999), decay=self.decay, lod_bias=self.lod_bias, lod_bias_until=None, in_pixels=True
        )

    def pyramid_of(self, size: tuple[int, int], sprites: int) -> tuple[tuple[float, int], ...]:
        """See `Strategy`: the full canvas throughout."""
        return ()

    def size_range(self, size: tuple[int, int], extent: tuple[int, int], count: int) -> tuple[float, float]:
        """See `Strategy`: half-sizes from 2 pixels to a quarter of the shorter side of the canvas."""
        smallest = 2 * self.smallest
        return smallest, max(smallest, 2 * self.largest_fraction * min(size))

    def initialise(
        self, sampler: SpriteSampler, count: int, rng: np.random.Generator, template: IntegerArray | None = None
    ) -> Sprites:
        """See `Strategy`.

        Positions by local variance, sizes the smaller the more there is, templates in turn (by their weights where they
        have any), tints nearly gray. What has more detail lies on top; in a cut-out, as in the paper's, at the bottom.
        After a cut, where the templates are given, Smalti's own initialization.
        """
        if template is not None:
            return initialise(sampler, count, rng, InitialiseSettings(), template)
        target = sampler.target.astype(np.float64)
        height, width = target.shape[:2]
        # Straight, and white where there are none.
        alpha = target[..., 3:]
        colors = np.where(alpha > 0, target[..., :3] / np.maximum(alpha, 1e-9), 1.0)
        variance = np.maximum(box_mean(colors**2, 3) - box_mean(colors, 3) ** 2, 0).sum(axis=2)
        contrast = variance / max(float(variance.max()), 1e-12)
        flat = self.flat_probability
        chance = ((flat + (1 - flat) * contrast) * (target[..., 3] > 0)).ravel()
        # As many different pixels as there are; then again.
        pixels = int(np.count_nonzero(chance))
        drawn = [
            rng.choice(chance.size, min(pixels, count - done), replace=False, p=chance / chance.sum())
            for done in range(0, count, max(pixels, 1))
        ]
        pixel = np.concatenate(drawn)
        detail = contrast.ravel()[pixel]
        order = np.argsort(-detail if self.cut_out else detail, kind="stable")
        pixel, detail = pixel[order], detail[order]
        row, column = np.divmod(pixel, width)
        low, high = self._first_sizes(sampler, (width, height))
        scale = high - detail * (high - low) + rng.normal(0, self.size_noise, count) * (high - low)
        noisy = np.clip(colors[row, column] + rng.normal(0, self.color_noise, (count, 3)), 0, 1)
        return Sprites(
            template=_templates(sampler, count, rng),
            x=column + 0.5,
            y=row + 0.5,
            scale=np.clip(scale, low, high),
            aspect=np.zeros(count),
            theta=np.zeros(count) if sampler.upright else rng.uniform(-np.pi, np.pi, count),
            opacity=np.full(count, 1 / (1 + np.exp(-self.opacity_logit))),
            # The pixel's color is stored as a logit without the inverse of the sigmoid, so every fit starts gray.
            tint=1 / (1 + np.exp(-noisy)),
        )

    def _first_sizes(self, sampler: SpriteSampler, size: tuple[int, int]) -> tuple[float, float]:
        """Smallest and largest half-size at initialization, on a canvas of this width and height."""
        low, high = (0.5 * side for side in sampler.group.size_range)
        usual = max(self.first_largest, self.first_largest_fraction * min(size))
        return low, max(low, min(high, usual))

    def period(self, steps: int) -> int:
        """See `Strategy`."""
        return 1

    def before_step(
        self, optimiser: Optimiser, samplers: Sequence[SpriteSampler], first: Sprites, seed: int, unconstrained: bool
    ) -> int:
        """See `Strategy`: in cut-outs faint sprites begin again where some began, smaller each time."""
        done = optimiser.done
        if not self.cut_out or done < self.prune_after or done % self.prune_interval:
            return 0
        below = self.prune_below * optimiser.settings.alpha_max
        faint: Int64Array = np.flatnonzero(optimiser.sprites().opacity < below)
        rng = np.random.default_rng((seed, done))
        again = first.double().take(rng.integers(0, len(first), len(faint)))
        halvings = (done - self.prune_after) // self.prune_interval + 1
        height, width = optimiser.size
        low, high = self._first_sizes(samplers[0], (width, height))
        shrunk = max(0.5**halvings * high - low, 0.0) / max(high - low, 1e-9)
        again = replace(
            again,
            scale=np.maximum(low + shrunk * (again.scale - low), low),
            theta=again.theta if samplers[0].upright else rng.uniform(-np.pi, np.pi, len(faint)),
        )
        if optimiser.settings.lock_scale:
            again = replace(again, scale=first.scale[faint])
        optimiser.parameters.set(faint, again)
        return len(faint)


def _templates(sampler: SpriteSampler, count: int, rng: np.random.Generator) -> Int32Array:
    """In turn; with weights as often as these say."""
    if sampler.group.weights is not None:
        return sampler.group.dealt(count, rng).astype(np.int32)
    return (np.arange(count) % len(sampler.shapes)).astype(np.int32)
