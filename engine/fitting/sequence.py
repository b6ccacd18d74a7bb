# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames one after another: each is fitted from the one before, with the same sprites. A still is a sequence of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.job import Preset

from ..raster import build_atlas
from ..raster.atlas import texels_for
from . import exchange, published, recycle
from .groups import Group
from .limits import Keeper, Limits
from .optimiser import Optimiser, Settings
from .presets import PRESETS
from .start import Placer, joined, shape_of, start

WARM_RATE = 0.4
"""Rates of a frame that starts from the one before, against those of a first frame."""

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
        first = target(0)
        self._size = (first.shape[0], first.shape[1])
        self._groups = groups
        self._limits = Limits() if limits is None and groups[0].mask is not None else limits
        self._keeper = self._keeper_of_frame()
        first = first if self._keeper is None else self._keeper.masked(first)
        placer = Placer(
            first.astype(np.float64),
            [shape_of(b) for b in bitmaps],
            settings.colour_mix,
            groups[0],
            settings.lock_rotation,
        )
        self._placers = [placer, *(placer.of(group) for group in groups[1:])]
        self._effort = PRESETS[preset].effort
        self._published = preset == "published"
        begin = published.start if self._published else start
        rng = np.random.default_rng(seed)
        self._start = joined([begin(placer, placer.group.count, rng) for placer in self._placers])
        if self._keeper is not None:
            self._start = self._keeper.admitted(self._start)
        self.optimiser = self._begin(first, self._start)

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
            sprites = self._sprites()
            self._done.append(sprites)
            self.frame += 1
            self._begin_frame(sprites)
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
            if self._exchanges(done):
                rng = np.random.default_rng((self._seed, done, 1))
                moved += exchange.exchange(self.optimiser, self._placers, self._effort.tries, rng)
        if self._keeper is not None:
            self._keeper.mend(self.optimiser, self._placers, np.random.default_rng((self._seed, done, 2)), moved)

    def _exchanges(self, done: int) -> bool:
        """Whether bitmaps are exchanged after so many steps of the first frame."""
        # Alternatives are judged by squared error, with any tint and at any angle.
        free = self._keeper is None or self._keeper.leaves_free(done)
        return free and self._settings.aim.is_by_pixels and exchange.is_due(done, self._settings.steps, self._effort)

    def _sprites(self) -> dict[str, NDArray[Any]]:
        """The sprites of the frame at hand, as they may be shown."""
        if self._keeper is None:
            return self.optimiser.sprites()
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

    def _begin_frame(self, sprites: Mapping[str, NDArray[Any]]) -> None:
        """Go on to a later frame from the sprites of the one before."""
        self._keeper = self._keeper_of_frame()
        if self._keeper is not None:
            sprites = self._keeper.admitted(sprites)
        self.optimiser = self._begin(self._target(self.frame), sprites)

    def _keeper_of_frame(self) -> Keeper | None:
        if self._limits is None:
            return None
        settings = self._frame_settings if self.frame else self._settings
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

    def _begin(self, target: NDArray[np.float32], sprites: Mapping[str, NDArray[Any]]) -> Optimiser:
        settings = self._frame_settings if self.frame else self._settings
        if self._keeper is not None:
            target = self._keeper.masked(target)
        return Optimiser(
            target, self._background, self._atlas, self._shapes, sprites, settings, self._seed + self.frame
        )
