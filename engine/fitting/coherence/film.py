# SPDX-License-Identifier: GPL-3.0-or-later
"""What one frame of a film leaves to the next, and how strictly frames hold together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...arrays import AnyArray, BoolArray, Float32Array
from ...motion.flow import vision
from ...raster import Scene
from ...sprites import Sprites
from ..optimiser import Optimiser
from ..plan import FitPlan
from .start import CoherenceSettings, CoherentStart, Liberties, Shown, Stage


class CoherentFilm:
    """Begins the frames of a film, each from the one before.

    Args:
        strength: 0 to 1: how much they hold together.
        stage: where they are drawn.
        liberties: what sprites may do.
        seed: of the fit.
    """

    def __init__(self, strength: float, stage: Stage, liberties: Liberties, seed: int) -> None:
        self._settings = strengthened(CoherenceSettings(), strength)
        self._stage = stage
        self._liberties = liberties
        self._seed = seed
        self._dying: BoolArray = np.zeros(0, np.bool_)
        self._dying_before: BoolArray = self._dying
        self._now: CoherentStart | None = None

    @classmethod
    def of(
        cls, plan: FitPlan, scene_of: Callable[[Sprites], Scene[AnyArray]], constrained: bool
    ) -> CoherentFilm | None:
        """That of a fit; None for a still, and where the job asks for none.

        Args:
            plan: of the fit.
            scene_of: see `Stage`.
            constrained: whether there are constraints.

        Raises:
            SmaltiError: code ``"no_opencv"``.
        """
        settings = plan.settings
        if plan.frames == 1 or not plan.job.coherence:
            return None
        vision()  # before the first frame is fitted for nothing
        bound = plan.keeps_order or plan.is_tiled
        liberties = Liberties(
            follow=not bound,
            turn=not settings.lock_rotation,
            grow=not settings.lock_scale,
            move_on=not (bound or settings.alpha_min or constrained),
        )
        stage = Stage(scene_of, plan.background, settings.blend_space, settings.back_end)
        return cls(plan.job.coherence, stage, liberties, plan.seed)

    def cut(self) -> None:
        """The frame of now begins a new shot."""
        self._dying = self._dying_before = np.zeros(0, np.bool_)
        self._now = None

    def start(self, last: Sprites, before: Float32Array, target: Float32Array) -> tuple[Sprites, Float32Array]:
        """The sprites [N] with which a frame begins, and what to fit them to, [H, W, 4].

        Args:
            last: of the frame before.
            before, target: the target then and now, [H, W, 4] premultiplied, in the blend space.

        Raises:
            SmaltiError: code ``"no_opencv"``.
        """
        shown = Shown(before, self._stage.scene_of(last))
        self._now = CoherentStart(last, shown, target, self._stage, self._settings, self._liberties)
        return self._now.sprites, self._now.target

    def begin(self, optimiser: Optimiser, frame: int) -> bool:
        """Let deaths and births take place, and set the gates. Returns whether anything may move in this frame."""
        assert self._now is not None
        self._dying_before = self._dying
        if len(self._dying) != len(optimiser.parameters):
            self._dying = np.zeros(len(optimiser.parameters), np.bool_)
        if self._liberties.move_on:
            rng = np.random.default_rng((self._seed, frame, 4))
            self._dying = self._now.move_on(optimiser, self._dying, rng)
        gates = self._now.gates
        optimiser.parameters.gate(gates)
        return bool(gates.any() or self._dying.any())

    def after_step(self, optimiser: Optimiser) -> None:
        """Bring back what leaps, now and then, and after the last step."""
        if self._now is not None and self._liberties.move_on:
            self._now.continuity.hold(optimiser)

    def state(self) -> dict[str, AnyArray]:
        """What a later `restore` needs before it starts the frame of now again."""
        return {"dying": self._dying_before}

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Go back to what `state` returned."""
        if "dying" in state:
            self._dying = state["dying"].astype(np.bool_)


def strengthened(settings: CoherenceSettings, strength: float) -> CoherenceSettings:
    """The settings at a strength from 0 to 1: less weight of the last picture, and gates that open for less."""
    return replace(
        settings,
        blend=replace(settings.blend, weight=strength * settings.blend.weight),
        gate=replace(settings.gate, open=max(strength, 1e-3) * settings.gate.open),
    )
