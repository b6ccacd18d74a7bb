# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames one after another: each is fitted from the one before, with the same sprites. A still is a sequence of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray

from smalti.bridge.job import BlendSpace, Preset

from ..raster import build_atlas
from ..raster.atlas import TEXELS_PER_PIXEL
from . import exchange, published, recycle
from .canvas import seen
from .optimiser import Optimiser, Settings
from .start import Placer, Sprites, shape_of, start

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
        count: N.
        settings: for the first frame.
        frame_steps: steps of each later frame.
        seed: seed of every random choice.
        preset: see `smalti.bridge.job.JobSpec`; what the settings do not say already.
    """

    def __init__(
        self,
        target: Callable[[int], NDArray[np.float32]],
        frames: int,
        background: NDArray[np.float32] | None,
        bitmaps: Sequence[NDArray[np.float32]],
        count: int,
        settings: Settings,
        frame_steps: int,
        seed: int,
        preset: Preset = "balanced",
    ) -> None:
        self.frames = frames
        self.frame = 0
        self._target = target
        self._background = background
        self._settings = settings
        self._frame_settings = replace(settings, steps=frame_steps, rate=settings.rate * WARM_RATE, blur=0.0, coarse=())
        self._seed = seed
        self._done: list[dict[str, NDArray[Any]]] = []
        largest = int(2 ** np.ceil(np.log2(max(settings.size_range[1] * TEXELS_PER_PIXEL, 16))))
        self._atlas = build_atlas(bitmaps, largest)
        self._shapes = np.array([[b.shape[1], b.shape[0]] for b in bitmaps], np.float64)
        self._measured = [shape_of(b) for b in bitmaps]
        first = target(0)
        self._placer = self._placer_of(first)
        self._published = preset == "published"
        begin = published.start if self._published else start
        self._start = begin(self._placer, count, np.random.default_rng(seed))
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
            # Sprites that are faded out here may be of use in the next frame, which begins with all of them.
            self._done.append(self.optimiser.sprites_to_show())
            self.frame += 1
            self.optimiser = self._begin_next(self.optimiser.sprites())
        elif self.frame == 0:  # only there: in later frames a sprite that jumps would be seen to jump
            self._mend()
        return self.optimiser.step()

    def _mend(self) -> None:
        """Move sprites elsewhere, and exchange their bitmaps, where it is time to."""
        done, steps = self.optimiser.done, self._settings.steps
        if self._published:
            if published.is_due(done, steps):
                published.prune(self.optimiser, self._start)
            return
        # The generators are made anew from the step, so that a resumed fit makes the same choices.
        if recycle.is_due(done, steps):
            recycle.recycle(self.optimiser, self._placer, np.random.default_rng((self._seed, done)))
        # Alternatives are judged by squared error.
        if self._settings.aim.is_by_pixels and exchange.is_due(done, steps):
            exchange.exchange(self.optimiser, self._placer, np.random.default_rng((self._seed, done, 1)))

    def result(self) -> dict[str, NDArray[Any]]:
        """The arrays of `smalti.bridge.composition` for all frames up to the one at hand."""
        last = self.optimiser.sprites_to_show() if self.optimiser.finished else self.optimiser.sprites()
        frames = [*self._done, last]
        return {"template": frames[0]["template"], **{n: np.stack([f[n] for f in frames]) for n in PER_FRAME}}

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
            self.optimiser = self._begin_next(self._done[-1])
        self.optimiser.restore(state)

    def _begin_next(self, sprites: Sprites) -> Optimiser:
        """A later frame, with the sprites of the one before; in a new scene they are placed anew, with full rates."""
        before, target = self._target(self.frame - 1), self._target(self.frame)
        if not is_new_scene(before, target, self._settings.blend_space):
            return self._begin(target, sprites, self._frame_settings)
        placed = start(
            self._placer_of(target),
            len(sprites["template"]),
            np.random.default_rng((self._seed, self.frame, 2)),
            template=sprites["template"],
        )
        if self._settings.lock_scale:
            placed["scale"] = sprites["scale"]
        return self._begin(target, placed, replace(self._settings, steps=self._frame_settings.steps))

    def _begin(self, target: NDArray[np.float32], sprites: Sprites, settings: Settings) -> Optimiser:
        return Optimiser(
            target, self._background, self._atlas, self._shapes, sprites, settings, self._seed + self.frame
        )

    def _placer_of(self, target: NDArray[np.float32]) -> Placer:
        settings = self._settings
        return Placer(
            target.astype(np.float64),
            self._measured,
            settings.colour_mix,
            settings.size_range,
            settings.lock_rotation,
        )


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
