# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit: frames one after another, each from the one before, with the same sprites. A still is one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.composition import PER_FRAME

from ..arrays import AnyArray, Float32Array, Int32Array
from ..raster import Atlas, Scene, draw
from ..raster.atlas import texels_for
from ..sprites import Sprites
from .allotment import allotted
from .coherence import CoherentFilm
from .constraints import ConstraintContext, Constraints, Refinement
from .constraints.overflow import FINER
from .cuts import is_new_scene
from .initialise import SpriteSampler
from .objective import ImageObjective
from .objective.losses import Needs
from .optimiser import Optimiser, OptimiserSettings
from .plan import FitPlan
from .strategy.importance import pruned_sprites
from .template_levels import TemplateLevels, TemplateMeasures
from .tiles import tiles
from .tracks import Tracks, TracksInMemory
from .use_limits import UseLimits


class Fit:
    """Fits N sprites to F targets, step by step, so that the caller can show, save and stop at any step.

    Args:
        plan: what to fit, with what, and how.
        tracks: keeps the finished frames; None for memory.

    Attributes:
        frames: F.
        frame: index of the frame of now.
        optimiser: of that frame.
        cuts: indices of the frames, so far, that begin another scene.

    Raises:
        SmaltiError: a constraint leaves no room (see `smalti.engine.fitting.constraints.region.Region`).
    """

    def __init__(self, plan: FitPlan, tracks: Tracks | None = None) -> None:
        self.frames = plan.frames
        self.frame = 0
        self.cuts: list[int] = []
        self._plan = plan
        self._settings = plan.settings
        self._frame_settings = replace(
            plan.settings,
            steps=plan.frame_steps,
            learning_rate_factor=plan.settings.learning_rate_factor * plan.strategy.frames.learning_rate_factor,
            schedule=replace(plan.settings.schedule, lod_bias=0.0),
            pyramid=(),
        )
        self._skipped = self._skipped_before = 0
        self._done = TracksInMemory() if tracks is None else tracks
        self._reports: list[dict[str, float]] = []
        self._finished: Sprites | None = None
        self._loss: SupportsFloat = 0.0
        self._largest = texels_for(plan.settings.size_range[1])
        whole = plan.atlases.holds_all(self._largest)
        # What is confined is so in pictures of twice the size too.
        self._levels = None if whole else TemplateLevels(plan.atlases, self._largest, FINER if plan.confined else 1)
        self._templates = TemplateMeasures.of(plan.atlases, whole, plan.settings.colour_mix)
        self._shapes = self._templates.shapes
        colors = np.array([shape.color for shape in self._templates.measured])
        self._use_limits = UseLimits.of(plan.job, plan.groups, colors)
        first = plan.target(0)
        self._size = (first.shape[0], first.shape[1])
        self._constraints = self._constraints_of(plan.settings)
        if self._constraints is not None:
            first = self._constraints.visible_target(first)
        self._samplers = self._samplers_of(first)
        rng = np.random.default_rng(plan.seed)
        self._first = Sprites.joined([self._begun(sampler, rng) for sampler in self._samplers])
        if self._use_limits is not None and not plan.is_tiled:
            self._first = allotted(self._use_limits, self._first, self._samplers, plan.job, rng)
        if self._constraints is not None:
            self._first = self._constraints.start(self._first)
        self.optimiser = self._optimiser_of(first, self._first, plan.settings)
        self._coherence = CoherentFilm.of(plan, self._scene, self._constraints is not None)

    @property
    def atlas(self) -> Atlas:
        """That of now, with all that its sprites can show; valid until the next step."""
        return self._atlas_of(self._largest)

    @property
    def steps(self) -> int:
        """Steps of all frames together, but for those that were not needed."""
        return self._settings.steps + (self.frames - 1) * self._frame_settings.steps - self._skipped

    @property
    def steps_done(self) -> int:
        """Steps done so far, over all frames."""
        before = self._settings.steps + (self.frame - 1) * self._frame_settings.steps if self.frame else 0
        return before + self.optimiser.done - self._skipped_before

    @property
    def finished(self) -> bool:
        """Whether every frame has had its steps."""
        return self.frame == self.frames - 1 and self.optimiser.finished

    def stop_frame(self) -> None:
        """Make no more steps of the frame of now."""
        self._skipped += self.optimiser.settings.steps - self.optimiser.done
        self.optimiser.stopped = True

    def end(self) -> None:
        """Give back the memory that steps take, after the last one. What has been fitted can be asked for as before."""
        self._sprites()
        self._samplers = []
        self.optimiser.end()

    def step(self) -> SupportsFloat:
        """Make one gradient step, of the next frame where this one is finished. Returns as `Optimiser.step`."""
        if self.optimiser.finished:
            self._next_frame()
            if self.optimiser.finished:  # nothing moves in it
                return self._loss
        elif self.frame == 0:  # only there: in later frames a sprite that jumps would be seen to jump
            self._refine()
        self._follow_sprites()
        self._loss = self.optimiser.step()
        if self._coherence is not None and self.frame:
            self._coherence.after_step(self.optimiser)
        return self._loss

    def _next_frame(self) -> None:
        """Keep the frame of now, and begin the next one."""
        self._done.append(self._sprites())
        if self._constraints is not None:
            self._reports.append(self._report_of(self._done[-1]))
        self.frame += 1
        self._skipped_before = self._skipped
        # Sprites that are pruned there may be of use in the next frame, which begins with all of them.
        self._begin_frame(self._done[-1] if self._constraints is not None else self.optimiser.sprites())

    def _follow_sprites(self) -> None:
        """Bring levels of templates that the sprites have come to need."""
        levels = self._levels
        if levels is not None and levels.is_due(self.optimiser.done) and levels.follow(self.optimiser.sprites()):
            self.optimiser.use_atlas(levels.atlas)

    def _atlas_of(self, largest: int) -> Atlas:
        """All templates up to `largest` texels on the longer side, or as far as they are held."""
        return self._plan.atlases.up_to(largest) if self._levels is None else self._levels.atlas

    def _refine(self) -> None:
        """Discrete moves before a step of the first frame."""
        unconstrained = self._constraints is None or self._constraints.leaves_free(self.optimiser.done)
        moved = 0
        if not self._plan.keeps_order:
            moved = self._plan.strategy.before_step(
                self.optimiser, self._samplers, self._first, self._plan.seed, unconstrained
            )
        if self._constraints is not None:
            self._constraints.refine(self._refinement(2), moved)

    def _begun(self, sampler: SpriteSampler, rng: np.random.Generator, template: Int32Array | None = None) -> Sprites:
        """The first sprites of a sampler's group, float64; tiles with these templates if they are known."""
        plan = self._plan
        if plan.placement is not None and plan.is_tiled:
            return tiles(plan.placement, sampler, plan.atlases.bitmaps, plan.job, self._use_limits, template)
        if plan.placement is not None and sampler.group is plan.groups[0]:
            return plan.placement.sprites(sampler, rng)
        return plan.strategy.initialise(sampler, sampler.group.count, rng)

    def _refinement(self, purpose: int) -> Refinement:
        """What a repair works with. Its generator follows from the step, so that a resumed fit does the same."""
        assert self._constraints is not None
        rng = np.random.default_rng((self._plan.seed, self.optimiser.done, purpose))
        return Refinement(self.optimiser, self._samplers, rng, self._constraints)

    def _sprites(self) -> Sprites:
        """The sprites of the frame of now, as they may be shown, float32."""
        if not self.optimiser.finished:
            return self._shown()
        if self._finished is None:  # pruning and repairs draw many pictures
            if self._levels is not None:
                self._levels.suit(self.optimiser.sprites())
                self.optimiser.use_atlas(self._levels.atlas)
            self._finished = self._shown()
        return self._finished

    def _shown(self) -> Sprites:
        if self._constraints is None:
            rounds = self._plan.strategy.pruning_rounds if self.optimiser.finished else 0
            sprites = pruned_sprites(self.optimiser, rounds) if rounds else self.optimiser.sprites()
        else:
            sprites = self._constraints.finish(self.optimiser.sprites())
            if self.frame == 0 and self.optimiser.finished:
                sprites = self._constraints.repair(sprites, self._refinement(3))
        if self._settings.alpha_min and self.frames == 1 and self.optimiser.finished:
            # What is not to be shown would break the promise of a least opacity.
            shown = np.flatnonzero(sprites.opacity)
            sprites = sprites.take(shown) if len(shown) else sprites
        return sprites

    def sprites(self, frame: int) -> Sprites:
        """The sprites of a frame (from 0, up to the one of now), as they may be shown, float32."""
        return self._done[frame] if frame < len(self._done) else self._sprites()

    def result(self, frame: int | None = None) -> dict[str, NDArray[Any]]:
        """The arrays of `smalti.bridge.composition`.

        Args:
            frame: the one frame (from 0, up to the one of now) that they are to have; None for all of them.
        """
        frames = [self.sprites(each) for each in (range(self.frame + 1) if frame is None else [frame])]
        per_frame = {name: np.stack([getattr(each, name) for each in frames]) for name in PER_FRAME}
        return {"template": frames[0].template, **per_frame}

    def report(self) -> list[dict[str, float]]:
        """For each frame so far, what constraints that are no guarantee have come to (see `Constraint.report`)."""
        if self._constraints is None:
            return []
        return [*self._reports, self._report_of(self._sprites())]

    def _report_of(self, sprites: Sprites) -> dict[str, float]:
        """That of the frame of now."""
        assert self._constraints is not None
        return self._constraints.report(sprites, self._plan.target(self.frame))

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a later `restore` needs, with the tracks, to go on as if nothing had happened."""
        state = {
            "frame": np.array(self.frame),
            "count": np.array(len(self._first)),
            "skipped": np.array([self._skipped, self._skipped_before]),
            "cuts": np.array(self.cuts, np.int64),
        }
        names = [*self._reports[0]] if self._reports else []
        state |= {f"report.{name}": np.array([report[name] for report in self._reports]) for name in names}
        state["reported"] = np.array(names, np.str_)
        if self._levels is not None:
            state["levels"] = self._levels.halvings
        if self._coherence is not None:
            state |= self._coherence.state()
        return state | self._done.state() | self.optimiser.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned. Raises KeyError, ValueError or IndexError where it does not fit."""
        self.frame = int(state["frame"])
        if not 0 <= self.frame < self.frames:
            raise ValueError(f"frame {self.frame} of {self.frames}")
        self._skipped, self._skipped_before = (int(n) for n in state["skipped"]) if "skipped" in state else (0, 0)
        template = state["template"].astype(np.int32)
        # Some may have been dropped since. Earlier versions never did, and kept no count.
        count = int(state["count"]) if "count" in state else len(template)
        if count != len(self._first):
            raise ValueError(f"{count} sprites, not {len(self._first)}")
        self._done.restore(state, template, self.frame)
        names = state["reported"].tolist() if "reported" in state else []
        self._reports = [{name: state[f"report.{name}"][i].item() for name in names} for i in range(self.frame)]
        self._finished = None
        if self._coherence is not None:
            self._coherence.restore(state)
        if self.frame:
            skipped = self._skipped
            self._begin_frame(self._done[-1])
            self._skipped = skipped
        self.cuts = state["cuts"].tolist() if "cuts" in state else []
        if self._constraints is not None and "reported" not in state:  # of an earlier version, which kept no reports
            done = range(self.frame)
            self._reports = [self._constraints.report(self._done[i], self._plan.target(i)) for i in done]
        self.optimiser.restore(state)
        if self._levels is not None:
            self._levels.hold(state["levels"])
            self.optimiser.use_atlas(self._levels.atlas)

    def _begin_frame(self, sprites: Sprites) -> None:
        """Go on to a later frame from the sprites of the one before; in a new scene they are placed again."""
        settings, plan = self._frame_settings, self._plan
        if self._levels is not None:
            self._levels.suit(self._done[-1])
        before, target = plan.target(self.frame - 1), plan.target(self.frame)
        is_new = is_new_scene(before, target, settings.blend_space, plan.strategy.frames)
        if is_new:
            self.cuts.append(self.frame)
            # As a first frame, but for moves that would change the stack.
            self._skipped -= self._settings.steps - settings.steps
            settings = self._settings
        self._constraints = self._constraints_of(settings)
        goal, goal_before = target, before
        if self._constraints is not None:
            goal, goal_before = (self._constraints.visible_target(picture) for picture in (target, before))
        coherence = None if is_new else self._coherence
        if is_new:
            sprites = self._placed_again(goal, sprites)
            if self._coherence is not None:
                self._coherence.cut()
        if coherence is not None:
            sprites, goal = coherence.start(self._done[-1], goal_before, goal)
        if self._constraints is not None:
            sprites = self._constraints.start(sprites)
            if coherence is not None:  # the flow knows of no constraint
                sprites = self._constraints.carried(sprites, self._done[-1].double())
        self.optimiser = self._optimiser_of(goal, sprites, settings)
        if coherence is not None and not coherence.begin(self.optimiser, self.frame):
            self.stop_frame()
        self._finished = None
        objective = self.optimiser.objective
        if objective.loss is not None and Needs.PREVIOUS in objective.loss.needs and not is_new:
            objective.previous = self._drawn(self._done[-1]), before

    def _drawn(self, sprites: Sprites) -> Float32Array:
        """Sprites without a background, [H, W, 4] premultiplied, in the blend space."""
        return np.asarray(draw(self._scene(sprites), self._settings.back_end), np.float32)

    def _scene(self, sprites: Sprites) -> Scene[AnyArray]:
        """Sprites on the whole canvas, without a background."""
        settings = self._settings
        return Scene(
            sprites.affine(self._shapes),
            sprites.opacity,
            sprites.tint,
            sprites.template,
            self._atlas_of(self._largest),
            self._size,
            mix=settings.colour_mix,
            shade=settings.shade,
        )

    def _placed_again(self, target: Float32Array, sprites: Sprites) -> Sprites:
        """The same templates where a new scene has use for them, float64."""
        rng = np.random.default_rng((self._plan.seed, self.frame, 2))
        placed = sprites
        for sampler in self._samplers_of(target):
            own = sampler.group.members(sprites.template)
            template = sprites.template[own]
            again = (
                self._begun(sampler, rng, template)
                if self._plan.keeps_order
                else self._plan.strategy.initialise(sampler, len(own), rng, template)
            )
            placed = placed.put(own, again)
        if self._settings.lock_scale:
            placed = replace(placed, scale=sprites.scale)
        if self._plan.job.palette is not None:
            placed = replace(placed, tint=sprites.tint)
        return placed

    def _constraints_of(self, settings: OptimiserSettings) -> Constraints | None:
        plan = self._plan
        context = ConstraintContext(
            plan.job,
            self.frame,
            plan.groups,
            settings,
            self._size,
            self._atlas_of,
            self._shapes,
            self._templates.coverage,
            plan.inside,
            plan.placement,
            self._use_limits,
        )
        return Constraints.of(context)

    def _optimiser_of(self, target: Float32Array, sprites: Sprites, settings: OptimiserSettings) -> Optimiser:
        objective = ImageObjective(
            target, self._plan.background, settings.blend_space, settings.objective, self._plan.seed + self.frame
        )
        atlas = self._atlas_of(self._largest)
        return Optimiser(objective, atlas, self._shapes, sprites, settings, self._constraints)

    def _samplers_of(self, target: Float32Array) -> list[SpriteSampler]:
        """One for each group."""
        settings, plan = self._settings, self._plan
        first = SpriteSampler(
            target,
            self._templates.measured,
            settings.colour_mix,
            plan.groups[0],
            settings.lock_rotation,
            plan.strategy.sampler,
            self._templates.signatures,
        )
        return [first, *(first.of_group(group) for group in plan.groups[1:])]
