# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies: how sprites are initialized, how learning rates run, and which discrete moves come between the steps.

A strategy is a frozen dataclass whose fields are its hyperparameters; `dataclasses.replace` makes another one. The
optimizer and the fit know none of them by name; presets.py gives each preset its strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from smalti.bridge.loss import Terms

from ...arrays import IntegerArray
from ...sprites import Sprites
from ..initialise import InitialiseSettings, SamplerSettings, SpriteSampler, initialise
from ..optimiser import Optimiser
from ..pyramid import PyramidSettings
from ..schedule import Schedule
from .drop import DropSettings, drop_harmful
from .proposals import ProposalSettings, propose
from .relocate import RelocateOccludedSettings, RelocateSettings, relocate, relocate_occluded


@dataclass(frozen=True)
class FrameSettings:
    """How a later frame of a film begins.

    Attributes:
        learning_rate_factor: of a frame that starts from the one before, against a first frame.
        cut: mean squared difference of two frames, at least, between which there can be a cut.
        alike: correlation from which on two frames show one scene, however its light changes.
        flat: variance below which a frame is one color, so that nothing says where sprites should be.
    """

    learning_rate_factor: float = 0.4
    cut: float = 0.01
    alike: float = 0.25
    flat: float = 0.001


class Strategy(Protocol):
    """What a fit asks of a strategy."""

    @property
    def sampler(self) -> SamplerSettings:
        """How sprites are made for given places."""
        ...

    @property
    def frames(self) -> FrameSettings:
        """How later frames begin."""
        ...

    @property
    def background_is_mean(self) -> bool:
        """Whether an automatic background is the target's mean color, whatever the templates."""
        ...

    @property
    def pruning_rounds(self) -> int:
        """How often sprites that raise the error are pruned, at most, where a frame is worse than its background."""
        ...

    @property
    def added_terms(self) -> Terms:
        """What is added to the loss of a job that asks for the squared error alone."""
        ...

    def for_cut_out(self) -> Strategy:
        """The same for a target with holes that must stay open, whose sprites are fitted without a background."""
        ...

    def steps(self, count: int) -> int:
        """Gradient steps of a first frame of `count` sprites."""
        ...

    def schedule_of(self, count: int) -> Schedule:
        """Learning rates and level-of-detail bias for `count` sprites."""
        ...

    def pyramid_of(self, size: tuple[int, int], sprites: int) -> tuple[tuple[float, int], ...]:
        """Pyramid levels for a canvas of this height and width (see `OptimiserSettings.pyramid`)."""
        ...

    def size_range(self, size: tuple[int, int], extent: tuple[int, int], count: int) -> tuple[float, float]:
        """Smallest and largest longer side of `count` sprites, canvas pixels, where the job leaves them open.

        Args:
            size: width and height of the canvas.
            extent: number of pixels of the part of it where the sprites are, and its longer side.
        """
        ...

    def initialise(
        self, sampler: SpriteSampler, count: int, rng: np.random.Generator, template: IntegerArray | None = None
    ) -> Sprites:
        """The first sprites of a group (see `smalti.engine.fitting.initialise.initialise`)."""
        ...

    def period(self, steps: int) -> int:
        """Steps after which its most frequent discrete moves come again, in a first frame of this number of steps."""
        ...

    def before_step(
        self, optimiser: Optimiser, samplers: Sequence[SpriteSampler], first: Sprites, seed: int, unconstrained: bool
    ) -> int:
        """Discrete moves before a step of a first frame. Returns how many sprites changed.

        Args:
            optimiser: at the step.
            samplers: of each group.
            first: the sprites with which the frame began.
            seed: of the fit. Generators follow from it and the step, so that a resumed fit does the same.
            unconstrained: whether sprites may still have any tint and angle, and cover what they like.
        """
        ...


@dataclass(frozen=True)
class Adaptive:
    """Smalti's own strategy: structure-aware initialization, coarse to fine, relocation, proposals.

    Attributes:
        steps_factor: factor on the usual number of steps.
        schedule, initialisation, pyramid, relocation, occluded, proposals, dropping, frames: of its parts.
        smallest_size, largest_size: usual bounds of a sprite's longer side: as a fraction of the side of the square
            that each has for itself (at least 3 pixels), and of the longer side of where they are.
        background_is_mean, pruning_rounds: see `Strategy`.
    """

    steps_factor: float = 1.0
    schedule: Schedule = Schedule()
    initialisation: InitialiseSettings = InitialiseSettings()
    pyramid: PyramidSettings = PyramidSettings()
    relocation: RelocateSettings = RelocateSettings()
    occluded: RelocateOccludedSettings = RelocateOccludedSettings()
    proposals: ProposalSettings = ProposalSettings()
    dropping: DropSettings = DropSettings()
    frames: FrameSettings = FrameSettings()
    smallest_size: float = 0.4
    largest_size: float = 0.5
    background_is_mean: bool = False
    pruning_rounds: int = 6

    @property
    def sampler(self) -> SamplerSettings:
        """How sprites are made for given places."""
        return self.initialisation.sampler

    @property
    def added_terms(self) -> Terms:
        """See `Strategy`: none."""
        return ()

    def for_cut_out(self) -> Adaptive:
        """See `Strategy`: noise behind the sprites is enough."""
        return self

    def steps(self, count: int) -> int:
        """More sprites occlude each other more and settle later: 300 for 100, 500 for 1,000, 700 for 10,000."""
        return round(self.steps_factor * int(np.clip(round(-100 + 200 * np.log10(count), -1), 200, 1000)))

    def schedule_of(self, count: int) -> Schedule:
        """See `Strategy`."""
        return self.schedule

    def pyramid_of(self, size: tuple[int, int], sprites: int) -> tuple[tuple[float, int], ...]:
        """See `Strategy`."""
        return self.pyramid.levels(size, sprites)

    def size_range(self, size: tuple[int, int], extent: tuple[int, int], count: int) -> tuple[float, float]:
        """See `Strategy`."""
        area, longest = extent
        typical = float(np.sqrt(area / count))
        return max(3.0, self.smallest_size * typical), max(self.largest_size * longest, 1.5 * typical)

    def initialise(
        self, sampler: SpriteSampler, count: int, rng: np.random.Generator, template: IntegerArray | None = None
    ) -> Sprites:
        """See `Strategy`."""
        return initialise(sampler, count, rng, self.initialisation, template)

    def period(self, steps: int) -> int:
        """See `Strategy`: from one round of proposals to the next."""
        return self.proposals.interval_of(steps)

    def before_step(
        self, optimiser: Optimiser, samplers: Sequence[SpriteSampler], first: Sprites, seed: int, unconstrained: bool
    ) -> int:
        """See `Strategy`."""
        done, steps = optimiser.done, optimiser.settings.steps
        changed = 0
        if self.relocation.is_due(done, steps):
            changed = relocate(optimiser, samplers, self.relocation, np.random.default_rng((seed, done)))
        if self.occluded.is_due(done, steps) and unconstrained:
            changed += relocate_occluded(optimiser, samplers, self.occluded, np.random.default_rng((seed, done)))
        # Candidates are evaluated by squared error, with any tint and at any angle.
        if unconstrained and optimiser.settings.objective.is_per_pixel and self.proposals.is_due(done, steps):
            changed += propose(optimiser, samplers, self.proposals, np.random.default_rng((seed, done, 1)))
        # Where sprites can fade away, those that harm do.
        settings = optimiser.settings
        if settings.alpha_min and settings.objective.is_per_pixel and self.dropping.is_due(done, steps):
            changed += drop_harmful(optimiser, self.dropping)
        return changed
