# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit is made from: pictures as arrays, groups of sprites, settings and strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smalti.bridge.job import JobSpec
from smalti.bridge.loss import parse_loss

from ..arrays import BoolArray, Float32Array
from ..composition.atlases import AtlasCache
from .groups import Group
from .objective.losses import Objective, PictureDistance
from .optimiser import OptimiserSettings
from .placement import Placement
from .strategy import Strategy
from .strategy.presets import STRATEGIES


@dataclass(frozen=True, eq=False)
class FitPlan:
    """A fit before its first step.

    Attributes:
        job: what is asked for.
        target: function of the frame's index (from 0): [H, W, 4] float32, premultiplied, in the blend space.
        frames: number of frames.
        background: [H, W, 4] float32 premultiplied, in the blend space, or None (see `ImageObjective`).
        atlases: of the templates, in the blend space.
        groups: the sprites, group by group from the bottom of the stack.
        inside: function of the frame's index: [2 H, 2 W] where any sprite may draw; None for anywhere.
        settings: of the optimizer, for the first frame.
        frame_steps: steps of each later frame.
        strategy: see `Strategy`.
        placement: where the sprites of the first group begin; None for where the strategy has them begin.
    """

    job: JobSpec
    target: Callable[[int], Float32Array]
    frames: int
    background: Float32Array | None
    atlases: AtlasCache
    groups: Sequence[Group]
    inside: Callable[[int], BoolArray] | None
    settings: OptimiserSettings
    frame_steps: int
    strategy: Strategy
    placement: Placement | None = None

    @property
    def confined(self) -> bool:
        """Whether sprites, or those of a region, may draw in a part of the canvas only."""
        return self.inside is not None or any(group.inside is not None for group in self.groups)

    @property
    def seed(self) -> int:
        """Seed of every random choice."""
        return self.job.seed

    @property
    def keeps_order(self) -> bool:
        """Whether all sprites keep their templates and their order in the stack."""
        return self.placement is not None and self.placement.keeps_order

    @property
    def is_tiled(self) -> bool:
        """Whether sprites are the tiles of a grid."""
        return self.placement is not None and self.placement.size is not None


def strategy_of(job: JobSpec) -> Strategy:
    """The strategy that the job's preset stands for."""
    return STRATEGIES[job.preset]


def optimiser_settings(
    job: JobSpec,
    strategy: Strategy,
    groups: Sequence[Group],
    size: tuple[int, int],
    steps: int,
    back_end: str,
    objective: Objective,
) -> OptimiserSettings:
    """The settings of a first frame.

    Args:
        job: what is asked for.
        strategy: whose schedule and pyramid are used.
        groups: of the sprites.
        size: height and width of the canvas.
        steps: of the frame.
        back_end: see `smalti.engine.raster.BACK_ENDS`.
        objective: what is minimized.
    """
    count = sum(group.count for group in groups)
    return OptimiserSettings(
        steps=steps,
        colour_mix=job.colour_mix,
        blend_space=job.blend_space,
        shade=job.shade,
        alpha_max=job.alpha_max,
        alpha_min=job.alpha_min,
        lock_rotation=job.lock_rotation,
        lock_scale=job.lock_scale,
        size_range=(min(g.size_range[0] for g in groups), max(g.size_range[1] for g in groups)),
        back_end=back_end,
        schedule=strategy.schedule_of(count),
        pyramid=strategy.pyramid_of(size, densest(groups, size)),
        objective=objective,
    )


def objective_of(
    job: JobSpec, strategy: Strategy, features: PictureDistance | None, weight_map: Float32Array | None
) -> Objective:
    """What a job minimizes.

    Args:
        job: what is asked for.
        strategy: may add terms to the squared error.
        features: what the loss needs of VGG16, or None.
        weight_map: [H, W] how much each pixel counts, 0 to 1, or None.
    """
    terms = parse_loss(job.loss)
    if [name for name, _ in terms] == ["mse"]:
        terms += strategy.added_terms
    return Objective(terms, features, weight_map, job.detail_weight, cover=job.cover, min_visibility=job.min_visibility)


def densest(groups: Sequence[Group], size: tuple[int, int]) -> int:
    """How many sprites there would be if they lay everywhere as close as in the group where they lie closest."""
    whole = size[0] * size[1]
    return max(round(g.count * whole / (whole if g.mask is None else int(np.count_nonzero(g.mask)))) for g in groups)
