# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frame begins that goes on from the one before: all ideas of coherence together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from smalti.bridge.job import BlendSpace

from ...arrays import AnyArray, BoolArray, Float32Array
from ...motion import flow_between, grey, moved
from ...motion.measures import difference
from ...raster import Scene, draw, pixel_weights
from ...sprites import Sprites
from ..objective.canvas import display_encode, over
from ..optimiser import Optimiser
from .blend import BlendSettings, blended, coherence_weight
from .continuity import Continuity, ContinuitySettings
from .follow import FollowSettings, followed
from .gate import GateSettings, gates, worsening
from .rebirth import RebirthSettings, dying, give_birth


@dataclass(frozen=True)
class Liberties:
    """What sprites may do besides being fitted.

    Attributes:
        follow: go where the flow takes them.
        turn, grow: turn and grow with it.
        move_on: fade out, and in elsewhere; and be held back where they leap.
    """

    follow: bool = True
    turn: bool = True
    grow: bool = True
    move_on: bool = True


@dataclass(frozen=True)
class CoherenceSettings:
    """How frames hold together: the settings of each idea."""

    follow: FollowSettings = FollowSettings()
    blend: BlendSettings = BlendSettings()
    gate: GateSettings = GateSettings()
    rebirth: RebirthSettings = RebirthSettings()
    continuity: ContinuitySettings = ContinuitySettings()


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame of the film: its target, and the scene that rebuilds it.

    Attributes:
        target: [H, W, 4] premultiplied, in the blend space.
        scene: without a background.
    """

    target: Float32Array
    scene: Scene[AnyArray]


@dataclass(frozen=True, eq=False)
class Stage:
    """Where frames are drawn.

    Attributes:
        scene_of: the scene of sprites, without a background.
        background: [H, W, 4] premultiplied, in the blend space; None for transparent.
        space, back_end: see `smalti.engine.fitting.optimiser.OptimiserSettings`.
    """

    scene_of: Callable[[Sprites], Scene[AnyArray]]
    background: Float32Array | None
    space: BlendSpace
    back_end: str

    def drawn(self, scene: Scene[AnyArray]) -> Float32Array:
        """[H, W, 4] premultiplied, in the blend space."""
        return np.asarray(draw(scene, self.back_end), np.float32)

    def encoded(self, picture: Float32Array) -> Float32Array:
        """[H, W, 4]: a picture over the background, display-encoded."""
        return display_encode(picture if self.background is None else over(picture, self.background), self.space)


class CoherentStart:
    """A frame that goes on from the one before.

    Args:
        last: the sprites of the frame before.
        before: that frame.
        target: [H, W, 4] of this one, premultiplied, in the blend space.
        stage: where both are drawn.
        settings: see `CoherenceSettings`.
        liberties: see there.

    Attributes:
        sprites: moved by the flow, float64.
        target: [H, W, 4] what to fit them to.
        gates: [N] how far each may move, 0 to 1.
        continuity: keeps them from leaping.

    Raises:
        SmaltiError: code ``"no_opencv"``.
    """

    def __init__(
        self,
        last: Sprites,
        before: Shown,
        target: Float32Array,
        stage: Stage,
        settings: CoherenceSettings,
        liberties: Liberties,
    ) -> None:
        shown_before, shown = stage.encoded(before.target), stage.encoded(target)
        flow = flow_between(grey(shown_before), grey(shown))
        self.sprites = last.double()
        if liberties.follow:
            moving = followed(last, pixel_weights(before.scene, settings.follow.least), flow, settings.follow)
            self.sprites = replace(
                moving,
                theta=moving.theta if liberties.turn else self.sprites.theta,
                scale=moving.scale if liberties.grow else self.sprites.scale,
            )
        picture = stage.drawn(before.scene)
        weight = coherence_weight(shown_before, shown, flow, settings.blend)
        self.target = blended(target, moved(picture, flow.back), weight)
        scene = stage.scene_of(self.sprites)
        error_before = difference(stage.encoded(picture), shown_before)
        error = difference(stage.encoded(stage.drawn(scene)), shown)
        change = difference(shown_before, shown)
        self._worse = worsening(error, error_before, change, flow, settings.gate.neighborhood)
        self.gates = gates(self._worse, pixel_weights(scene), settings.gate)
        self.continuity = Continuity(last, self.sprites, settings.continuity)
        self._settings = settings

    def move_on(self, optimiser: Optimiser, dying_before: BoolArray, rng: np.random.Generator) -> BoolArray:
        """Let deaths and births take place. Returns [N]: which sprites are on their way out.

        Args:
            optimiser: of the frame, before its first step, with `sprites` and `target`.
            dying_before: [N] which were in the frame before.
            rng: of the frame.
        """
        settings = self._settings
        out = dying(optimiser, self._worse, dying_before, settings.rebirth)
        born = give_birth(optimiser, self._worse, settings.continuity.fade, rng, settings.rebirth)
        self.gates[born] = 1.0
        self.continuity = self.continuity.with_changes(optimiser.parameters.placed(), born, out)
        return out
