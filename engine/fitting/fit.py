# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames one after another: each is fitted from the one before, with the same sprites. A still is a sequence of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray

from smalti.bridge.job import BlendSpace, Preset

from ..raster import build_atlas
from ..raster.atlas import texels_for
from .constraints import Keeper, Limits
from .groups import Group
from .initialise import Placer, Sprites, joined, shape_of, start
from .objective.canvas import seen
from .optimiser import Optimiser, Settings
from .strategy import diffbmp as published
from .strategy import exchange
from .strategy import relocate as recycle
from .strategy.importance import sprites_to_show
from .strategy.presets import PRESETS

WARM_RATE = 0.4
"""Rates of a frame that starts from the one before, against those of a first frame."""
CUT = 0.01
"""Mean squared difference of two frames, at least, between which there can be a cut."""
ALIKE = 0.25
"""Correlation from which on two frames show one scene, however its light changes."""
FLAT = 0.001
"""Variance below which a frame is one colour, so that nothing says where sprites should be."""

PER_FRAME = ("x", "y", "scale", "aspect", "theta", "opacity", "tint")


class Fitting:
    """Fits N sprites to F targets, step by step, so that whoever drives it can show, save and stop at any step.

    Args:
        target: function of the frame's index (from 0): [H, W, 4] float32, premultiplied, in the blend space.
        frames: F.
        background: [H, W, 4] float32 premultiplied, in the blend space, or None (see `Optimiser`).
        bitmaps: the templates, each [h, w, 4] premultiplied, in the blend space.
        groups: the sprites, group by group from the bottom of the stack; N together.
        settings: for the first frame.
        frame_steps: steps of each later frame.
        seed: seed of every random choice.
        preset: see `smalti.bridge.job.JobSpec`; what the settings do not say already.
        limits: what sprites may not do; None where they may do everything.
    """

    def __init__(
        self,
        target: Callable[[int], NDArray[np.float32]],
        frames: int,
        background: NDArray[np.float32] | None,
        bitmaps: Sequence[NDArray[np.float32]],
        groups: Sequence[Group],
        settings: Settings,
        frame_steps: int,
        seed: int,
        preset: Preset = "balanced",
        limits: Limits | None = None,
    ) -> None:
        self.frames = frames
        self.frame = 0
        self._target = target
        self._background = background
        self._settings = settings
        self._frame_settings = replace(settings, steps=frame_steps, rate=settings.rate * WARM_RATE, blur=0.0, coarse=())
        self._seed = seed
        self._done: list[dict[str, NDArray[Any]]] = []
        self._atlas_of = lru_cache(maxsize=3 * len(groups))(partial(build_atlas, bitmaps))
        self._atlas = self._atlas_of(texels_for(settings.size_range[1]))
        self._shapes = np.array([[b.shape[1], b.shape[0]] for b in bitmaps], np.float64)
        self._coverage = np.array([b[..., 3].mean(dtype=np.float64) for b in bitmaps])
        self._measured = [shape_of(b) for b in bitmaps]
        first = target(0)
        self._size = (first.shape[0], first.shape[1])
        self._groups = groups
        self._limits = Limits() if limits is None and groups[0].mask is not None else limits
        self._keeper = self._keeper_of_frame(settings)
        first = first if self._keeper is None else self._keeper.masked(first)
        self._placers = self._placers_of(first)
        self._effort = PRESETS[preset].effort
        self._published = preset == "published"
        begin = published.start if self._published else start
        rng = np.random.default_rng(seed)
        self._start = joined([begin(placer, placer.group.count, rng) for placer in self._placers])
        if self._keeper is not None:
            self._start = self._keeper.admitted(self._start)
        self.optimiser = self._begin(first, self._start, settings)

    @property
    def steps(self) -> int:
        """Steps of all frames together."""
        return self._settings.steps + (self.frames - 1) * self._frame_settings.steps

    @property
    def steps_done(self) -> int:
        """Steps done so far, over all frames."""
        before = self._settings.steps + (self.frame - 1) * self._frame_settings.steps if self.frame else 0
        return before + self.optimiser.done

    @property
    def finished(self) -> bool:
        """Whether every frame has had its steps."""
        return self.frame == self.frames - 1 and self.optimiser.finished

    def step(self) -> SupportsFloat:
        """One gradient step, of the next frame where this one is finished. Returns the loss (see `Optimiser.step`)."""
        if self.optimiser.finished:
            self._done.append(self._sprites())
            self.frame += 1
            # Sprites that are faded out there may be of use in the next frame, which begins with all of them.
            self._begin_frame(self._done[-1] if self._keeper is not None else self.optimiser.sprites())
        elif self.frame == 0:  # only there: in later frames a sprite that jumps would be seen to jump
            self._mend()
        return self.optimiser.step() if self._keeper is None else self._keeper.step(self.optimiser)

    def _mend(self) -> None:
        """Move sprites elsewhere, and exchange their bitmaps, where it is time to."""
        done, steps = self.optimiser.done, self._settings.steps
        moved = 0
        if self._published:
            if published.is_due(done, steps):
                moved = published.prune(self.optimiser, self._start)
        else:
            # The generators are made anew from the step, so that a resumed fit makes the same choices.
            if recycle.is_due(done, steps):
                moved = recycle.recycle(self.optimiser, self._placers, np.random.default_rng((self._seed, done)))
            if recycle.is_last(done, steps) and self._leaves_free(done):
                moved += recycle.revive(self.optimiser, self._placers, np.random.default_rng((self._seed, done)))
            if self._exchanges(done):
                rng = np.random.default_rng((self._seed, done, 1))
                tries = self._effort.tries_at(self._settings.colour_mix)
                moved += exchange.exchange(self.optimiser, self._placers, tries, rng)
        if self._keeper is not None:
            self._keeper.mend(self.optimiser, self._placers, np.random.default_rng((self._seed, done, 2)), moved)

    def _exchanges(self, done: int) -> bool:
        """Whether bitmaps are exchanged after so many steps of the first frame."""
        # Alternatives are judged by squared error, with any tint and at any angle.
        return (
            self._leaves_free(done)
            and self._settings.aim.is_by_pixels
            and exchange.is_due(done, self._settings.steps, self._effort)
        )

    def _leaves_free(self, done: int) -> bool:
        return self._keeper is None or self._keeper.leaves_free(done)

    def _sprites(self) -> dict[str, NDArray[Any]]:
        """The sprites of the frame at hand, as they may be shown."""
        if self._keeper is None:
            return sprites_to_show(self.optimiser) if self.optimiser.finished else self.optimiser.sprites()
        rng = np.random.default_rng((self._seed, self.optimiser.done, 3))
        return self._keeper.shown(self.optimiser, self._placers, rng)

    def result(self) -> dict[str, NDArray[Any]]:
        """The arrays of `smalti.bridge.composition` for all frames up to the one at hand."""
        frames = [*self._done, self._sprites()]
        return {"template": frames[0]["template"], **{n: np.stack([f[n] for f in frames]) for n in PER_FRAME}}

    def reached(self) -> list[dict[str, float]]:
        """For each frame so far, what limits that are no guarantee have come to (see `Keeper.reached`)."""
        if self._keeper is None:
            return []
        frames = [*self._done, self._sprites()]
        return [self._keeper.reached(sprites, self._target(frame)) for frame, sprites in enumerate(frames)]

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a later `restore` needs to go on as if nothing had happened."""
        state = {"frame": np.array(self.frame)}
        if self._done:
            state |= {f"done.{name}": np.stack([f[name] for f in self._done]) for name in PER_FRAME}
        return state | self.optimiser.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned. Raises KeyError, ValueError or IndexError where it does not fit."""
        self.frame = int(state["frame"])
        if not 0 <= self.frame < self.frames:
            raise ValueError(f"frame {self.frame} of {self.frames}")
        template = state["template"].astype(np.int32)
        self._done = [
            {"template": template, **{n: state[f"done.{n}"][i] for n in PER_FRAME}} for i in range(self.frame)
        ]
        if self._done:
            self._begin_frame(self._done[-1])
        self.optimiser.restore(state)

    def _begin_frame(self, sprites: Sprites) -> None:
        """Go on to a later frame from the sprites of the one before; in a new scene they are placed anew."""
        settings = self._frame_settings
        before, target = self._target(self.frame - 1), self._target(self.frame)
        anew = is_new_scene(before, target, settings.blend_space)
        if anew:  # with full rates
            settings = replace(self._settings, steps=settings.steps)
        self._keeper = self._keeper_of_frame(settings)
        if self._keeper is not None:
            target = self._keeper.masked(target)
        if anew:
            sprites = self._placed_anew(target, sprites)
        if self._keeper is not None:
            sprites = self._keeper.admitted(sprites)
        self.optimiser = self._begin(target, sprites, settings)

    def _placed_anew(self, target: NDArray[np.float32], sprites: Sprites) -> Sprites:
        """The same bitmaps where a new scene wants them."""
        rng = np.random.default_rng((self._seed, self.frame, 2))
        placed = {name: values.copy() for name, values in sprites.items()}
        for placer in self._placers_of(target):
            own = placer.group.members(sprites["template"])
            fresh = start(placer, len(own), rng, template=sprites["template"][own])
            for name, values in fresh.items():
                placed[name][own] = values
        if self._settings.lock_scale:
            placed["scale"] = sprites["scale"]
        if self._limits is not None and self._limits.palette is not None:
            placed["tint"] = sprites["tint"]
        return placed

    def _keeper_of_frame(self, settings: Settings) -> Keeper | None:
        if self._limits is None:
            return None
        return Keeper(
            self._limits,
            self._groups,
            self.frame,
            settings,
            self._atlas_of,
            self._shapes,
            self._coverage,
            self._size,
        )

    def _begin(self, target: NDArray[np.float32], sprites: Sprites, settings: Settings) -> Optimiser:
        return Optimiser(
            target, self._background, self._atlas, self._shapes, sprites, settings, self._seed + self.frame
        )

    def _placers_of(self, target: NDArray[np.float32]) -> list[Placer]:
        """One for each group."""
        settings = self._settings
        first = Placer(
            target.astype(np.float64),
            self._measured,
            settings.colour_mix,
            self._groups[0],
            settings.lock_rotation,
        )
        return [first, *(first.of(group) for group in self._groups[1:])]


def is_new_scene(before: NDArray[np.float32], now: NDArray[np.float32], space: BlendSpace) -> bool:
    """Whether what suited one frame is of no use in the next.

    So it is after a cut, and when a picture appears out of a single colour, as in a fade from black.

    Args:
        before, now: [H, W, 4] premultiplied, in `space`.
    """
    a, b = (seen(torch.from_numpy(frame), space).numpy().astype(np.float64) for frame in (before, now))
    changed = float(((a - b) ** 2).mean()) > CUT
    a, b = (frame - frame.mean(axis=(0, 1)) for frame in (a, b))
    was, now_is, both = (float((one * other).mean()) for one, other in ((a, a), (b, b), (a, b)))
    if min(was, now_is) < FLAT:
        return changed or was < FLAT <= now_is
    return changed and both < ALIKE * (was * now_is) ** 0.5
