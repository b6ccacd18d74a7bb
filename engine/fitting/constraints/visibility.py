# SPDX-License-Identifier: GPL-3.0-or-later
"""Visibility: of every sprite at least a fraction is visible in the finished picture.

A penalty pulls occluded sprites into view and pushes those above them away; now and then the most occluded are
relocated to where there is room; and before the last steps all that are still occluded are, until only tints are left
to change. Where there is no room for all, the most occluded are dropped, from a still or a film's first frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import AnyArray, Float32Array, Float64Array, FloatArray
from ...raster import Candidates, Scene, drawing, evaluate_candidates
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..picture_statistics import box_mean
from ..strategy.importance import blending_weights_of, one_channel, retint, squared_error
from .constraint import Constraint, ConstraintContext, Refinement
from .repair import RepairSettings, VisibilityRepair
from .visible_fraction import reds


@dataclass(frozen=True)
class VisibilitySettings:
    """When and how the constraint acts.

    Attributes:
        headroom: factor on what is asked for, up to which sprites are pulled into view at least, and by which their
            opacity is bounded below.
        weight: of an occluded sprite's area against the squared error of as many pixels.
        preferred_weight: the same for what is preferred beyond that. A weak pull toward much brings more into view than
            a strong one toward less: each sprite then shows as much as costs little there.
        first: fraction of the steps after which the most occluded sprites are relocated now and then.
        interval: steps from one time to the next.
        max_fraction: of the sprites that are relocated at a time, at most.
        relocate_until: fraction of the steps up to which they are; later ones would not settle.
        drop_from: fraction of the steps from which the most occluded sprites are dropped now and then, as many as are
            relocated before.
        rest: fraction of the steps after which only tints change.
        proposals_until: fraction of the steps up to which proposals are accepted: even those that are charged for what
            is preferred may hide a sprite too far.
        wrong_tint: difference of a channel, 0 to 1, from which on a tint is put right when sprites stop moving.
        probe: largest value of a sprite in the picture by which candidates are charged; its square should not matter.
    """

    headroom: float = 1.25
    weight: float = 0.1
    preferred_weight: float = 0.015
    first: float = 0.1
    interval: int = 12
    max_fraction: float = 0.05
    relocate_until: float = 0.5
    drop_from: float = 0.7
    rest: float = 0.9
    proposals_until: float = 0.7
    wrong_tint: float = 0.25
    probe: float = 0.001


class VisibilityConstraint(Constraint):
    """Keeps every sprite visible.

    Args:
        min_visibility: fraction of each sprite that must be visible, 0 to 1.
        preferred: fraction up to which each is pulled into view, if that is more than `headroom` asks for.
        context: see `ConstraintContext`.
        settings: see `VisibilitySettings`.
    """

    has_penalty = True

    def __init__(
        self,
        min_visibility: float,
        preferred: float,
        context: ConstraintContext,
        settings: VisibilitySettings = VisibilitySettings(),
        repair: RepairSettings = RepairSettings(),
    ) -> None:
        alpha_max = context.settings.alpha_max
        self._min_visibility = min_visibility
        self._required = settings.headroom * min_visibility
        self._preferred = preferred
        self._share = settings.preferred_weight / settings.weight if preferred > self._required else 0.0
        self._settings = settings
        self._steps = context.settings.steps
        self._is_later_frame = context.is_later_frame
        self._tints_are_free = context.job.palette is None and context.job.colour_mix < 1
        self.min_opacity = min(settings.headroom * min_visibility, 0.999 * alpha_max)
        self._canvas = context.canvas
        smallest = [np.full(len(g.templates), 0.5 * g.size_range[0]) for g in context.groups]
        self._repair = VisibilityRepair(
            min_visibility, self._canvas, np.concatenate(smallest), context.settings.lock_scale, alpha_max, repair
        )

    @classmethod
    def of(cls, context: ConstraintContext) -> VisibilityConstraint | None:
        """See `Constraint`."""
        job = context.job
        if not job.min_visibility and not job.preferred_visibility:
            return None
        return cls(job.min_visibility, job.preferred_visibility, context)

    def frozen(self, done: int) -> frozenset[str]:
        """See `Constraint`: in the end only tints change."""
        if self._is_later_frame or done < self._last_relocation:
            return frozenset()
        return frozenset({"x", "y", "log_scale", "theta", "opacity"})

    def penalty_gradient(
        self, scene: Scene[AnyArray], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """See `Constraint`. It pulls occluded sprites into view, and those above them away and apart.

        How much sprites are pulled follows from their visible fractions in the step before, which is the memory: then
        one pass gives both this step's gradient and the next step's fractions.
        """
        whole, back_end = self._canvas.whole(scene), self._canvas.back_end
        if memory is None:
            memory = self._lack(blending_weights_of(scene, back_end) / whole)
        pull = 2 * self._settings.weight * memory / (scene.size[0] * scene.size[1])
        drawn = drawing(scene.tinted(reds(pull)), back_end)
        of_red = drawn.gradients(one_channel(np.ones(scene.size), 0))
        # A picture's red is linear in the red of each tint, so that gradient is the sprite's blending weight.
        fraction = of_red.tint[:, 0] / whole
        # What is pulled is the area that shows, and not only the opacity of a sprite that gets smaller.
        of_area = (pull * fraction)[:, None] * self._canvas.whole_gradient(scene)
        return of_area - of_red.affine, -of_red.opacity, self._lack(fraction)

    def candidate_costs(
        self, optimiser: Optimiser, candidates: Candidates[AnyArray], opacity: FloatArray
    ) -> Float64Array | float:
        """See `Constraint`: exact for each candidate itself, linear in what it takes from others and gives back."""
        if not self._share:
            return 0.0
        scene, canvas, weight = optimiser.scene(), self._canvas, self._settings.weight
        whole, visible = canvas.whole(scene), blending_weights_of(scene, canvas.back_end)
        pull = 2 * weight * self._lack(visible / whole)
        unit = self._settings.probe / max(float(pull.max()), 1e-12)
        # In a black picture whose red are the pulls, the change of the error against pure red is, to first order,
        # twice that of their sum.
        black = np.zeros((*scene.size, 4), np.float32)
        black[..., 3] = 1
        red = black + one_channel(np.ones(scene.size), 0)
        probe = replace(scene.tinted(reds(unit * pull)), background=black)
        scores = evaluate_candidates(probe, red, candidates, canvas.back_end)
        pixels = 3 * black[..., 0].size
        # Squares, cross (3), own, tint (3), match; of the tint, its red.
        red_tint, match = opacity * scores.coefficients[:, 5], opacity * scores.coefficients[:, 8]
        given_back = pull * visible - scores.removal_errors * pixels / (2 * unit)
        of = candidates.replaces
        fraction = red_tint * pixels / canvas.alone(candidates.affine, candidates.template)
        own = weight * whole[of] * (self._shortfall(fraction) - self._shortfall(visible / whole)[of])
        return np.asarray((own - match * pixels / unit - given_back[of]) / black[..., 0].size)

    def _lack(self, fraction: Float64Array) -> Float64Array:
        """By how much visible fractions [N] fall short, of what is preferred in proportion to its weight."""
        lack = np.maximum(self._required - fraction, 0)
        return np.asarray(lack + self._share * np.maximum(self._preferred - fraction, 0))

    def _shortfall(self, fraction: Float64Array) -> Float64Array:
        """The squares of what visible fractions [N] lack, in the same proportion: its slope is -2 `_lack`."""
        squares = np.maximum(self._required - fraction, 0) ** 2
        return np.asarray(squares + self._share * np.maximum(self._preferred - fraction, 0) ** 2)

    def refine(self, at: Refinement) -> None:
        """See `Constraint`."""
        optimiser, settings = at.optimiser, self._settings
        done = optimiser.done
        if done == self._last_relocation:
            sprites = at.constraints.finish(optimiser.sprites())
            repaired = self._repair.repaired(sprites, mean_error(optimiser), at)
            everyone = np.arange(len(repaired))
            optimiser.parameters.move_to_top(everyone, repaired)
            optimiser.parameters.set(everyone, repaired)  # also locked sizes, which have moved within the stack
            self._drop(optimiser, repaired, len(repaired))
            if self._tints_are_free:
                retint(optimiser, settings.wrong_tint)
        elif done % settings.interval or not settings.first * self._steps <= done < self._last_relocation:
            return
        elif done >= settings.drop_from * self._steps:
            sprites = optimiser.sprites()
            self._drop(optimiser, sprites, max(1, int(settings.max_fraction * len(sprites))))
        elif done < settings.relocate_until * self._steps:
            sprites = optimiser.sprites()
            count = max(1, int(settings.max_fraction * len(sprites)))
            which, fresh = self._repair.relocated(sprites, mean_error(optimiser), count, at)
            if len(which):
                optimiser.parameters.move_to_top(which, fresh)
                at.constraints.settle(optimiser)

    def _drop(self, optimiser: Optimiser, sprites: Sprites, most: int) -> None:
        """Drop up to `most` occluded sprites; `sprites` are those of the optimizer, as they are shown."""
        kept = self._repair.kept(sprites, most)
        if len(kept) < len(sprites):
            optimiser.parameters.keep(kept)

    def repair(self, sprites: Sprites, at: Refinement) -> Sprites:
        """See `Constraint`."""
        repaired = self._repair.repaired(sprites, mean_error(at.optimiser), at)
        return repaired.take(self._repair.kept(repaired, len(repaired)))

    def report(self, sprites: Sprites, target: Float32Array) -> dict[str, float]:
        """See `Constraint`: the least visible fraction, and how many sprites are less visible than asked for."""
        fraction = self._canvas.visible_fraction(sprites)
        return {
            "least_visible": float(fraction.min()),
            "hidden": int((fraction < self._min_visibility).sum()),
        }

    def leaves_free(self, done: int) -> bool:
        """See `Constraint`."""
        return done / max(self._steps, 1) < self._settings.proposals_until

    @property
    def _last_relocation(self) -> int:
        """The step before which occluded sprites are relocated for good."""
        return int(np.ceil(self._settings.rest * self._steps))


def mean_error(optimiser: Optimiser) -> Float64Array:
    """[H, W]: the squared error about each pixel."""
    return box_mean(squared_error(optimiser).astype(np.float64), 2)
