# SPDX-License-Identifier: GPL-3.0-or-later
"""Constraints: of colors, angles, places, visibility and uses of bitmaps.

A new constraint is a file with a subclass of `Constraint` and its row in `CONSTRAINTS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arrays import AnyArray, Float32Array, Float64Array, FloatArray
from ...raster import Candidates, Scene
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..parameters import Parameters
from .confinement import Confinement
from .constraint import Constraint, ConstraintContext, Refinement
from .membership import Membership
from .overdraw import Overdraw
from .palette import PaletteConstraint
from .reading_order import ReadingOrder
from .rotation import RotationSteps
from .tiles import Tiles
from .uses import UseConstraint
from .visibility import VisibilityConstraint

__all__ = ["CONSTRAINTS", "Constraint", "ConstraintContext", "Constraints", "Refinement"]

CONSTRAINTS: tuple[type[Constraint], ...] = (
    RotationSteps,
    PaletteConstraint,
    VisibilityConstraint,
    Overdraw,
    ReadingOrder,
    Tiles,
    Membership,
    Confinement,
    UseConstraint,
)
"""All there are, in the order in which their hooks run: first what changes looks only, then what moves sprites, then
what takes moves back."""


class Constraints:
    """The constraints of one frame together; its methods run the hooks of each (see `Constraint`)."""

    def __init__(self, items: Sequence[Constraint]) -> None:
        self._items = tuple(items)
        self.penalized = any(item.has_penalty for item in items)
        self._penalties = [item for item in items if item.has_penalty]
        self.min_opacity = max((item.min_opacity for item in items), default=0.0)
        self.use_limits = next((item.limits for item in items if isinstance(item, UseConstraint)), None)
        self._projections = [item for item in items if item.has_projection]

    @classmethod
    def of(cls, context: ConstraintContext) -> Constraints | None:
        """Those that the job asks for; None where it asks for none."""
        items = [item for kind in CONSTRAINTS if (item := kind.of(context)) is not None]
        return cls(items) if items else None

    def start(self, sprites: Sprites) -> Sprites:
        """See `Constraint.start`."""
        for item in self._items:
            sprites = item.start(sprites)
        return sprites

    def before_step(self, optimiser: Optimiser) -> None:
        """See `Constraint.before_step`."""
        for item in self._items:
            item.before_step(optimiser, self)

    def frozen(self, done: int) -> frozenset[str]:
        """See `Constraint.frozen`."""
        return frozenset().union(*(item.frozen(done) for item in self._items))

    def penalty_gradient(
        self, scene: Scene[AnyArray], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """See `Constraint.penalty_gradient`: the sums, and the memories [N, P] of the P constraints with a penalty."""
        by_affine, by_opacity = np.zeros_like(scene.affine), np.zeros_like(scene.opacity)
        memories = []
        for i, item in enumerate(self._penalties):
            own = None if memory is None else memory[:, i]
            of_affine, of_opacity, kept = item.penalty_gradient(scene, cover, own)
            by_affine, by_opacity = by_affine + of_affine, by_opacity + of_opacity
            memories.append(kept)
        return by_affine, by_opacity, np.stack(memories, axis=1)

    def candidate_costs(
        self, optimiser: Optimiser, candidates: Candidates[AnyArray], opacity: FloatArray
    ) -> Float64Array | float:
        """See `Constraint.candidate_costs`: the sum."""
        return sum((item.candidate_costs(optimiser, candidates, opacity) for item in self._penalties), 0.0)

    def before_projection(self, parameters: Parameters) -> Sprites | None:
        """The sprites before a step, float64; None where no constraint projects them after it."""
        return parameters.placed() if self._projections else None

    def project(self, parameters: Parameters, before: Sprites | None) -> None:
        """See `Constraint.project`; what `before_projection` returned comes back."""
        if before is None:
            return
        after = parameters.placed()
        for item in self._projections:
            after = item.project(after, before)
        parameters.place(after)

    def carried(self, sprites: Sprites, before: Sprites) -> Sprites:
        """Sprites that were moved from where they were `before`, as after a step (see `Constraint.project`)."""
        for item in self._projections:
            sprites = item.project(sprites, before)
        return sprites

    def refine(self, at: Refinement, moved: int) -> None:
        """See `Constraint.refine`; `moved` sprites were put elsewhere before."""
        if moved:
            self.settle(at.optimiser)
        for item in self._items:
            item.refine(at)

    def settle(self, optimiser: Optimiser) -> None:
        """See `Constraint.settle`."""
        for item in self._items:
            item.settle(optimiser)

    def finish(self, sprites: Sprites) -> Sprites:
        """See `Constraint.finish`."""
        for item in self._items:
            sprites = item.finish(sprites)
        return sprites

    def repair(self, sprites: Sprites, at: Refinement) -> Sprites:
        """See `Constraint.repair`."""
        for item in self._items:
            sprites = item.repair(sprites, at)
        return sprites

    def visible_target(self, target: Float32Array) -> Float32Array:
        """See `Constraint.visible_target`."""
        for item in self._items:
            target = item.visible_target(target)
        return target

    def report(self, sprites: Sprites, target: Float32Array) -> dict[str, float]:
        """See `Constraint.report`; the target is as the job has it."""
        visible = self.visible_target(target)
        result: dict[str, float] = {}
        for item in self._items:
            result |= item.report(sprites, visible)
        return result

    def leaves_free(self, done: int) -> bool:
        """See `Constraint.leaves_free`: whether all do."""
        return all(item.leaves_free(done) for item in self._items)
