# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimizer of one picture: gradient steps on sprites, within constraints, and a state that can be saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

import numpy as np

from smalti.bridge.job import BlendSpace

from ..arrays import AnyArray, Float32Array, Float64Array, FloatArray
from ..raster import Atlas, Candidates, Scene, Step, fused_step
from ..sprites import Sprites
from .objective import ImageObjective
from .objective.losses import MSE, Objective
from .parameters import Parameters
from .schedule import Schedule
from .use_limits import UseLimits, Uses


class StepConstraints(Protocol):
    """What the optimizer asks of the constraints of a fit (see `smalti.engine.fitting.constraints.Constraints`)."""

    penalized: bool
    min_opacity: float
    use_limits: UseLimits | None

    def before_step(self, optimiser: Optimiser) -> None:
        """Change parameters before a step, where they must have discrete values."""
        ...

    def frozen(self, done: int) -> frozenset[str]:
        """Names of the parameters that the step after `done` steps leaves as they are."""
        ...

    def penalty_gradient(
        self, scene: Scene[Float64Array], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """The gradient of what is added to the loss, and what the next step is given as `memory`."""
        ...

    def candidate_costs(
        self, optimiser: Optimiser, candidates: Candidates[AnyArray], opacity: FloatArray
    ) -> Float64Array | float:
        """By how much what is added to the loss would grow with each of M candidates of these opacities [M]."""
        ...

    def before_projection(self, parameters: Parameters) -> Sprites | None:
        """What `project` needs of the sprites before the step."""
        ...

    def project(self, parameters: Parameters, before: Sprites | None) -> None:
        """Bring the parameters back after a step."""
        ...


@dataclass(frozen=True)
class OptimiserSettings:
    """How to optimize.

    Attributes:
        steps: number of steps.
        colour_mix, shade, blend_space, alpha_max, alpha_min: as in `smalti.bridge.job.JobSpec`.
        lock_rotation, lock_scale: keep theta, keep scale.
        size_range: smallest and largest longer side of a sprite, canvas pixels.
        back_end: see `smalti.engine.raster.BACK_ENDS`.
        schedule: learning rates and level-of-detail bias over the steps.
        learning_rate_factor: factor on all learning rates: 1 from scratch, less for a warm start.
        pyramid: coarse to fine, pairs of a fraction of the steps up to which the canvas is smaller, and how many times
            smaller a side; in order. Parameters are in pixels of the full canvas throughout, so nothing jumps.
        max_logit: bound on logits: beyond it the gradient of a sigmoid is too small to find a way back.
        opaque: what the least opacity comes to in steps at most, of the largest: a logit is not finite at 1.
        objective: what is minimized.
    """

    steps: int
    colour_mix: float
    blend_space: BlendSpace
    alpha_max: float
    lock_rotation: bool
    lock_scale: bool
    size_range: tuple[float, float]
    back_end: str
    shade: float = 0.0
    alpha_min: float = 0.0
    schedule: Schedule = Schedule()
    learning_rate_factor: float = 1.0
    pyramid: tuple[tuple[float, int], ...] = ()
    max_logit: float = 6.0
    opaque: float = 0.999
    objective: Objective = MSE

    @property
    def locked(self) -> frozenset[str]:
        """Names of the parameters that no step changes."""
        locked = {"theta": self.lock_rotation, "log_scale": self.lock_scale, "tint": self.colour_mix == 1}
        return frozenset(name for name, is_locked in locked.items() if is_locked)


class Optimiser:
    """Fits N sprites to one target.

    Args:
        objective: target, background and loss.
        atlas: the templates.
        shapes: [T, 2] width and height of each template.
        sprites: the first ones.
        settings: see `OptimiserSettings`.
        constraints: what every step keeps; None for nothing.

    Attributes:
        done: number of steps done.
        stopped: whether no more are needed.
        parameters: of the sprites.
        objective, settings, constraints, shapes: as given.
    """

    def __init__(
        self,
        objective: ImageObjective,
        atlas: Atlas,
        shapes: Float64Array,
        sprites: Sprites,
        settings: OptimiserSettings,
        constraints: StepConstraints | None = None,
    ) -> None:
        self.objective = objective
        self.settings = settings
        self.constraints = constraints
        self.shapes = shapes
        self.done = 0
        self.stopped = False
        self._atlas = atlas
        self.parameters = Parameters(
            sprites,
            shapes,
            (settings.alpha_min, settings.alpha_max),
            settings.max_logit,
            settings.locked,
            settings.schedule.betas,
        )
        self._fused = fused_step(settings.back_end, atlas)

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or no more are needed."""
        return self.stopped or self.done >= self.settings.steps

    @property
    def progress(self) -> float:
        """Fraction of the steps that are done."""
        return self.done / max(self.settings.steps, 1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the full canvas."""
        return self.objective.size

    def use_atlas(self, atlas: Atlas) -> None:
        """Take the templates from another atlas from now on, of the same templates."""
        self._atlas = atlas
        self._fused = fused_step(self.settings.back_end, atlas)

    def end(self) -> None:
        """Give back the memory that steps take: there is no more of them, nor a scene; sprites and state remain."""
        del self._atlas, self._fused, self.objective

    def step(self) -> SupportsFloat:
        """Make one gradient step within the constraints.

        Returns:
            The mean squared error of display-encoded values before the step, 0 to 1, whatever is minimized, so that
            fits can be compared. It may still be on its way from a GPU: `float` waits for it.
        """
        constraints = self.constraints
        if constraints is None:
            loss = self._step(frozenset(), penalized=False)
            self.done += 1
            return loss
        constraints.before_step(self)
        before = constraints.before_projection(self.parameters)
        loss = self._step(constraints.frozen(self.done), constraints.penalized)
        self.done += 1
        constraints.project(self.parameters, before)
        return loss

    @property
    def _min_opacity(self) -> float:
        """Least logit of an opacity."""
        settings = self.settings
        least = max(settings.alpha_min, 0.0 if self.constraints is None else self.constraints.min_opacity)
        least = min(least / settings.alpha_max, settings.opaque)
        return math.log(least / (1 - least)) if least > 0 else -settings.max_logit

    def sprites(self) -> Sprites:
        """The sprites now, float32."""
        return self.parameters.sprites()

    def uses(self, now: Sprites) -> Uses | None:
        """Where the bitmaps of the sprites `now` are used; None where their uses are not limited."""
        limits = None if self.constraints is None else self.constraints.use_limits
        return None if limits is None else Uses(limits, now.template, now.x, now.y)

    def scene(self, shown: Float64Array | float = 1.0) -> Scene[AnyArray]:
        """The sprites on the canvas at the level of now, without level-of-detail bias and background.

        Args:
            shown: factor of the opacities, one number or [N].
        """
        parameters = self.parameters
        return Scene(
            self.objective.on_canvas(parameters.affine()),
            parameters.opacity * shown,
            parameters.tint,
            parameters.template,
            self._atlas,
            self.objective.canvas.size,
            mix=self.settings.colour_mix,
            shade=self.settings.shade,
        )

    def state(self) -> dict[str, AnyArray]:
        """Everything that a later `restore` needs to go on as if nothing had happened."""
        return {"done": np.array(self.done), "stopped": np.array(int(self.stopped)), **self.parameters.state()}

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Go back to what `state` returned. Raises KeyError or ValueError where it does not fit this problem."""
        self.parameters.restore(state)
        self.done = int(state["done"])
        self.stopped = bool(state["stopped"]) if "stopped" in state else False
        # Whatever is measured before the next step is measured on the canvas of the last one.
        self.objective.choose_level(self.settings.pyramid, max(self.done - 1, 0) / max(self.settings.steps, 1))

    def _step(self, frozen: frozenset[str], penalized: bool) -> SupportsFloat:
        """A step inside the back end; parameters and moments are those after it."""
        settings, schedule, progress = self.settings, self.settings.schedule, self.progress
        learning_rates = schedule.learning_rates_at(
            progress, self.done, max(self.size), settings.learning_rate_factor
        ) | dict.fromkeys(frozen, 0.0)
        self.objective.choose_level(settings.pyramid, progress)
        penalty = self._penalty_gradient() if penalized else None
        self.parameters.bind(self._fused)
        canvas = self.objective.canvas
        low, high = (math.log(0.5 * bound) for bound in settings.size_range)
        step = Step(
            learning_rates=learning_rates,
            adam=self.parameters.moments.begin_step(),
            goal=canvas.target if canvas.goal is None else canvas.goal,
            background=canvas.background,
            noise_key=self.objective.noise_key(self.done),
            pixel=canvas.pixel,
            encoded=settings.blend_space == "linear",
            mix=settings.colour_mix,
            shade=settings.shade,
            lod_bias=schedule.lod_bias_at(progress),
            alpha_max=settings.alpha_max,
            bounds=(low, high, settings.max_logit, float(self.size[1]), float(self.size[0]), self._min_opacity),
            loss=self.objective.step_loss(self.done),
            scale_in_pixels=schedule.in_pixels,
            penalty=penalty,
        )
        return self._fused(step)

    def _penalty_gradient(self) -> tuple[Float64Array, Float64Array]:
        """The gradient of the constraints' penalty by the maps from drawn pixels [N, 6] and by the opacities [N]."""
        assert self.constraints is not None
        cover = self.objective.canvas.target[..., 3]
        by_affine, by_opacity, memory = self.constraints.penalty_gradient(self.scene(), cover, self.parameters.memory)
        self.parameters.memory = memory
        return by_affine, by_opacity
