# SPDX-License-Identifier: GPL-3.0-or-later
"""How calm and how faithful a rebuilt film is: flicker, motion, freezing, and how sprites move.

docs/films.md defines every measure. Levels are 0 to 255; pictures are laid over mid-grey. Everything is pooled over
the pixels, or sprites, of all pairs of consecutive frames within shots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import Float32Array, Float64Array, FloatArray, Int64Array, UInt8Array
from ..sprites import Sprites
from .flow import MID_GREY, Flow, flow_between, grey, moved, vision

CALM_SPEED, CALM_CHANGE = 8.0, 4.0
"""Pixels a frame, and levels, up to which a pixel is calm."""
CHANGED = 12.0
"""Levels from which on a pixel has changed."""
SEEN = 0.1
"""Opacity from which on a sprite is seen."""
LEAP, GROWTH, FADE = 4.0, 1.5, 0.3
"""A sprite pops where it leaves the flow by more than this many pixels and half of its scale, or changes its size by
this factor, or its opacity by this much."""
MOVING = 1.0
"""Pixels a frame from which on a sprite should move."""
_SUMS = (
    "flicker", "target_flicker", "calm", "changed_error", "changed", "together", "alone", "motion", "pixels", "popped",
    "seen",
)  # fmt: skip
_STICK_BINS, _STICK_MOST = 1000, 5.0
_FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)
_PEAK = 255.0


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame that was added: pictures [H, W, 3] in levels, greys [H, W]."""

    target: Float32Array
    rendered: Float32Array
    target_grey: UInt8Array
    rendered_grey: UInt8Array
    sprites: Sprites


class FilmMeasures:
    """Takes the frames of a film one after another, and keeps two of them."""

    def __init__(self) -> None:
        self._before: _Frame | None = None
        self._sums = dict.fromkeys(_SUMS, 0.0)
        self._stick = np.zeros(_STICK_BINS + 1)

    def state(self) -> dict[str, Float64Array]:
        """What a later `restore` needs, but for the last frame: sums over the pairs so far."""
        return {"sums": np.array([self._sums[name] for name in _SUMS]), "stick": self._stick.copy()}

    def restore(self, state: Mapping[str, FloatArray]) -> None:
        """Go back to what `state` returned. Raises KeyError or ValueError where it does not fit."""
        self._sums = dict(zip(_SUMS, (float(value) for value in state["sums"]), strict=True))
        self._stick[:] = state["stick"]

    @property
    def goes_on(self) -> bool:
        """Whether the frame before the next one is known."""
        return self._before is not None

    def begin(self, target: FloatArray, rendered: FloatArray, sprites: Sprites) -> None:
        """Take a frame that was measured already, before a restored film goes on."""
        self._before = _frame(target, rendered, sprites)

    def cut(self) -> None:
        """The next frame begins a new shot."""
        self._before = None

    def add(self, target: FloatArray, rendered: FloatArray, sprites: Sprites) -> None:
        """Take a frame.

        Args:
            target, rendered: [H, W, 4] premultiplied, display-encoded, 0 to 1.
            sprites: those of the frame, the same ones in the same order in every frame.

        Raises:
            SmaltiError: code ``"no_opencv"``.
        """
        now = _frame(target, rendered, sprites)
        if self._before is not None and len(self._before.sprites) == len(sprites):
            self._compare(self._before, now, flow_between(self._before.target_grey, now.target_grey))
        self._before = now

    def as_json(self) -> dict[str, float | None]:
        """The measures by name; None where nothing could be measured, as with a single frame.

        flicker: levels. target_flicker: the same of the target itself. psnr_changed: dB where the target changes.
        response: of the render's change to the target's. tof: pixels between the flow of both. pops: per mille of
        the sprites seen. stick: how far sprites leave the flow, as a fraction of it.
        """
        sums = self._sums

        def mean(name: str, count: str, factor: float = 1.0) -> float | None:
            return factor * sums[name] / sums[count] if sums[count] else None

        error = mean("changed_error", "changed", _PEAK**-2)
        found = {
            "flicker": mean("flicker", "calm"),
            "target_flicker": mean("target_flicker", "calm"),
            "psnr_changed": None if error is None else -10 * math.log10(max(error, 1e-10)),
            "response": mean("together", "alone"),
            "tof": mean("motion", "pixels"),
            "pops": mean("popped", "seen", 1000),
            "stick": self._median_stick(),
        }
        return {name: None if value is None else round(float(value), 4) for name, value in found.items()}

    def _compare(self, before: _Frame, now: _Frame, flow: Flow) -> None:
        target_change = now.target - moved(before.target, flow.back, smooth=False)
        speed = np.hypot(flow.back[..., 0], flow.back[..., 1])
        calm = flow.back_agrees & (speed < CALM_SPEED)
        calm &= blurred(np.abs(target_change).mean(axis=-1), 3) <= CALM_CHANGE
        rendered_change = now.rendered - moved(before.rendered, flow.back, smooth=False)
        self._add("flicker", np.abs(blurred(rendered_change, 3))[calm])
        self._add("target_flicker", np.abs(blurred(target_change, 3))[calm])
        self._sums["calm"] += 3 * np.count_nonzero(calm)
        by_target, by_render = now.target - before.target, now.rendered - before.rendered
        changed = blurred(np.abs(by_target).mean(axis=-1), 3) >= CHANGED
        self._add("changed_error", ((now.rendered - now.target) ** 2)[changed])
        self._sums["changed"] += 3 * np.count_nonzero(changed)
        by_target, by_render = blurred(by_target, 5)[changed], blurred(by_render, 5)[changed]
        self._add("together", by_target * by_render)
        self._add("alone", by_target**2)
        self._add("motion", _flow_distance(before, now))
        self._sums["pixels"] += calm.size
        self._follow(before.sprites, now.sprites, flow)

    def _follow(self, before: Sprites, now: Sprites, flow: Flow) -> None:
        seen = (before.opacity >= SEEN) & (now.opacity >= SEEN)
        x, y = before.x.astype(np.float64), before.y.astype(np.float64)
        ahead = at_points(flow.ahead, x, y)
        height, width = flow.ahead.shape[:2]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        motion = np.stack([now.x - x, now.y - y], axis=1)
        off = np.linalg.norm(motion - ahead, axis=1)
        speed = np.linalg.norm(ahead, axis=1)
        growth = np.maximum(now.scale / before.scale, before.scale / now.scale)
        fade = np.abs(now.opacity - before.opacity)
        popped = (inside & (off > np.maximum(LEAP, 0.5 * before.scale))) | (growth >= GROWTH) | (fade >= FADE)
        self._sums["popped"] += np.count_nonzero(popped & seen)
        self._sums["seen"] += np.count_nonzero(seen)
        moving = seen & inside & (speed >= MOVING)
        share = np.minimum(off[moving] / speed[moving] / _STICK_MOST, 1.0)
        np.add.at(self._stick, (_STICK_BINS * share).astype(np.int64), 1)

    def _add(self, name: str, values: FloatArray) -> None:
        self._sums[name] += float(values.sum(dtype=np.float64))

    def _median_stick(self) -> float | None:
        """To within half a bin, so that its memory does not grow with the film."""
        total = self._stick.sum()
        if not total:
            return None
        middle = int(np.searchsorted(self._stick.cumsum(), total / 2))
        return (middle + 0.5) / _STICK_BINS * _STICK_MOST


def _frame(target: FloatArray, rendered: FloatArray, sprites: Sprites) -> _Frame:
    return _Frame(_levels(target), _levels(rendered), grey(target), grey(rendered), sprites)


def at_points(plane: Float32Array, x: FloatArray, y: FloatArray) -> Float64Array:
    """[N, 2]: a field [H, W, 2] at points [N] in pixels, of the nearest pixel."""
    height, width = plane.shape[:2]
    column: Int64Array = np.clip(np.floor(x), 0, width - 1).astype(np.int64)
    row: Int64Array = np.clip(np.floor(y), 0, height - 1).astype(np.int64)
    return plane[row, column].astype(np.float64)


def _flow_distance(before: _Frame, now: _Frame) -> Float32Array:
    """[H, W]: pixels between the motion in the target and that in the render (tOF: Chu et al., TecoGAN, 2020)."""
    method = vision().calcOpticalFlowFarneback
    of_target = method(before.target_grey, now.target_grey, None, *_FARNEBACK)
    of_render = method(before.rendered_grey, now.rendered_grey, None, *_FARNEBACK)
    return np.asarray(np.linalg.norm(of_target - of_render, axis=-1), np.float32)


def _levels(picture: FloatArray) -> Float32Array:
    """[H, W, 3] in levels, over mid-grey."""
    return np.asarray(_PEAK * (picture[..., :3] + (1 - picture[..., 3:]) * MID_GREY), np.float32)


def difference(one: FloatArray, other: FloatArray) -> Float32Array:
    """[H, W]: how far two pictures [H, W, 4], premultiplied, display-encoded, 0 to 1, are apart, in levels.

    The mean of the colors' absolute differences, to which a third of that of alpha is added.
    """
    return np.asarray(_PEAK / 3 * np.abs(one - other).sum(axis=-1), np.float32)


def blurred(picture: FloatArray, side: int) -> Float32Array:
    """The mean over `side` x `side` pixels around each, of [H, W] or [H, W, channels]."""
    return np.asarray(vision().blur(np.ascontiguousarray(picture, np.float32), (side, side)), np.float32)
