# SPDX-License-Identifier: GPL-3.0-or-later
"""No leaps: how far a sprite may leave, within a frame, where the flow takes it, and how fast it grows and fades."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import BoolArray, Int64Array
from ...sprites import Sprites
from ..optimiser import Optimiser


@dataclass(frozen=True)
class ContinuitySettings:
    """What is allowed from one frame to the next.

    Attributes:
        leap: pixels that a sprite may leave the flow by, or
        share: this share of its scale, if that is more.
        growth: factor of its size.
        fade: change of its opacity.
        projections: of one frame: so often sprites are brought back within the limits.
    """

    leap: float = 3.2
    share: float = 0.4
    growth: float = 1.4
    fade: float = 0.28
    projections: int = 8


class Continuity:
    """Holds the sprites of one frame.

    Args:
        last: the sprites of the frame before.
        moved: where the flow takes them.
        settings: what is allowed.
        dying: [N] which of them are on their way out, and fade as fast as they may; None for none.
    """

    def __init__(
        self, last: Sprites, moved: Sprites, settings: ContinuitySettings, dying: BoolArray | None = None
    ) -> None:
        self._last, self._moved, self._settings = last.double(), moved.double(), settings
        self._dying = np.zeros(len(last), np.bool_) if dying is None else dying

    def with_changes(self, now: Sprites, born: Int64Array, dying: BoolArray) -> Continuity:
        """The same, where the sprites `born` came out of nothing where they are `now`, and others are `dying` [N]."""
        come = now.take(born)
        unseen = replace(come, opacity=np.zeros(len(born)))
        return Continuity(self._last.put(born, unseen), self._moved.put(born, come), self._settings, dying)

    def kept(self, sprites: Sprites) -> Sprites:
        """The sprites within what is allowed, float64."""
        now, last, anchor, limits = sprites.double(), self._last, self._moved, self._settings
        reach = np.maximum(limits.leap, limits.share * last.scale)
        x, y = now.x - anchor.x, now.y - anchor.y
        shorter = np.minimum(1, reach / np.maximum(np.hypot(x, y), 1e-12))
        faded = np.maximum(last.opacity - limits.fade, 0.0)
        opacity = np.clip(now.opacity, last.opacity - limits.fade, last.opacity + limits.fade)
        return replace(
            now,
            x=anchor.x + shorter * x,
            y=anchor.y + shorter * y,
            scale=np.clip(now.scale, last.scale / limits.growth, last.scale * limits.growth),
            opacity=np.where(self._dying, faded, opacity),
        )

    def hold(self, optimiser: Optimiser) -> None:
        """Bring sprites back within what is allowed, if that is due after this number of steps."""
        done, steps = optimiser.done, optimiser.settings.steps
        if done < steps and done % max(1, steps // self._settings.projections):
            return
        now = optimiser.parameters.placed()
        kept = self.kept(now)
        differs = [getattr(now, name) != getattr(kept, name) for name in ("x", "y", "scale", "opacity")]
        which = np.flatnonzero(np.logical_or.reduce(differs))
        if len(which):
            optimiser.parameters.set(which, kept.take(which))
