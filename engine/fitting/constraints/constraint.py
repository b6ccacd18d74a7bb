# SPDX-License-Identifier: GPL-3.0-or-later
"""What a constraint is: the hooks by which it takes part in a fit, all neutral here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smalti.bridge.job import JobSpec

from ...arrays import AnyArray, BoolArray, Float32Array, Float64Array, FloatArray
from ...raster import Atlas, Candidates, Scene
from ...sprites import Sprites
from ..groups import Group
from ..initialise import SpriteSampler
from ..optimiser import Optimiser, OptimiserSettings
from ..placement import Placement
from ..use_limits import UseLimits
from .visible_fraction import FinishedCanvas

if TYPE_CHECKING:
    from . import Constraints


@dataclass(frozen=True, eq=False)
class ConstraintContext:
    """What constraints are made from, for one frame.

    Attributes:
        job: what is asked for.
        frame: index of the frame. After the first, colors and angles hold from the first step on.
        groups: of the sprites.
        settings: of the frame's optimizer.
        size: height and width of the canvas.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        coverage: [T] mean alpha of each template.
        inside: function of the frame's index: [2 H, 2 W] where any sprite may draw (see `.region.Region`); None for
            anywhere.
        placement: where the sprites begin, if that is given.
        use_limits: how often bitmaps may be used, and how far apart, if that is limited.
    """

    job: JobSpec
    frame: int
    groups: Sequence[Group]
    settings: OptimiserSettings
    size: tuple[int, int]
    atlas_of: Callable[[int], Atlas]
    shapes: Float64Array
    coverage: Float64Array
    inside: Callable[[int], BoolArray] | None
    placement: Placement | None = None
    use_limits: UseLimits | None = None

    @property
    def canvas(self) -> FinishedCanvas:
        """What finished pictures of the sprites are drawn with."""
        return FinishedCanvas(self.size, self.atlas_of, self.shapes, self.coverage, self.settings.back_end)

    @property
    def is_later_frame(self) -> bool:
        """Whether this is not the first frame."""
        return self.frame > 0


@dataclass(frozen=True, eq=False)
class Refinement:
    """What a discrete repair works with.

    Attributes:
        optimiser: at the step.
        samplers: of each group.
        rng: source of every random choice.
        constraints: all of the fit, so that a repair of one keeps the others.
    """

    optimiser: Optimiser
    samplers: Sequence[SpriteSampler]
    rng: np.random.Generator
    constraints: Constraints


class Constraint:
    """One thing that sprites may not do. Hooks that a constraint does not need stay as they are here.

    Most constraints are free at first, when sprites find their places, and hold from some step on, so that whatever is
    not constrained makes up for them. What already holds is seen from the parameters themselves: a constraint keeps
    nothing that would need a place in a checkpoint.
    """

    has_penalty = False
    """Whether something is added to the loss."""
    has_projection = False
    """Whether `project` changes anything."""
    min_opacity = 0.0
    """Least opacity of every sprite after a step."""

    @classmethod
    def of(cls, context: ConstraintContext) -> Constraint | None:
        """The constraint of a frame; None where the job does not ask for it."""
        raise NotImplementedError

    def start(self, sprites: Sprites) -> Sprites:
        """Sprites as they may begin, float64."""
        return sprites

    def before_step(self, optimiser: Optimiser, constraints: Constraints) -> None:
        """Change parameters before a step, where they must have discrete values."""

    def frozen(self, done: int) -> frozenset[str]:
        """Names of the parameters that the step after `done` steps leaves as they are."""
        return frozenset()

    def penalty_gradient(
        self, scene: Scene[AnyArray], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """The gradient of what is added to the loss.

        Args:
            scene: the sprites on the canvas of now, without level-of-detail bias and background; constants.
            cover: [h, w] alpha of the target on that canvas.
            memory: [N] what this returned in the step before, 0 for sprites that were put elsewhere since; None in the
                first step.

        Returns:
            By the scene's maps [N, 6], by its opacities [N], and the memory [N] for the next step; float64.
        """
        raise NotImplementedError

    def candidate_costs(
        self, optimiser: Optimiser, candidates: Candidates[AnyArray], opacity: FloatArray
    ) -> Float64Array | float:
        """By how much what is added to the loss would grow with each of M candidates, each alone.

        Args:
            optimiser: at the step.
            candidates: on the canvas of now. Each replaces a sprite.
            opacity: [M] of the candidates.

        Returns:
            [M]; 0 where candidates are judged by the error alone.
        """
        return 0.0

    def project(self, after: Sprites, before: Sprites) -> Sprites:
        """The sprites after a step, brought back; places, scales and angles alone are taken over.

        Args:
            after, before: the step, float64.
        """
        return after

    def refine(self, at: Refinement) -> None:
        """Move sprites elsewhere before a step of a first frame, where steps alone do not help."""

    def settle(self, optimiser: Optimiser) -> None:
        """Bring back sprites that were just put elsewhere."""

    def finish(self, sprites: Sprites) -> Sprites:
        """Sprites of any step as they may be shown, float32: exactly within the constraint."""
        return sprites

    def repair(self, sprites: Sprites, at: Refinement) -> Sprites:
        """Sprites after the last step of a first frame, float32, within all other constraints."""
        return sprites

    def visible_target(self, target: Float32Array) -> Float32Array:
        """The target [H, W, 4] without what no sprite may show."""
        return target

    def report(self, sprites: Sprites, target: Float32Array) -> dict[str, float]:
        """For report.json: what the constraint has come to, where it is no guarantee.

        Args:
            sprites: one frame, float32.
            target: [H, W, 4], without what no sprite may show.
        """
        return {}

    def leaves_free(self, done: int) -> bool:
        """Whether sprites may still have any tint and angle, and cover what they like, after `done` steps."""
        return True
