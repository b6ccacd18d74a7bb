# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames with motion blur: as a camera sees them whose shutter is open for a part of the time from one to the next.

The shutter opens before the frame and closes as long after it, as in Blender. Between the frames, sprites move, turn,
grow and change their colors evenly; not so across a cut, and not beyond the first and the last frame. The pictures at
some moments within are averaged in linear light, premultiplied.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from ..arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from ..colour import into_space, out_of_space
from ..files.images import straight_from_premultiplied
from ..files.strips import Strips
from ..sprites import Sprites
from . import Composition
from .render import canvas_of, drawn_in_strips, picture_strips, scene_with

STEP = 1.0
"""Pixels that the edge of a sprite moves, at most, from one moment to the next."""
MOST = 65
"""Moments of a frame, at most; an odd number, so that the frame itself is among them."""
FAINT = 0.02
"""Opacity below which the motion of a sprite is not seen."""
CUT = 0.5
"""Share of what is seen that must jump to make a cut."""
JUMP = 2.0
"""A jump, in half lengths of the sprite's longer side, beside how the picture moves as a whole."""


def exposed_strips(
    composition: Composition, frame: int, size: int | None = None, shutter: float = 0.0
) -> Strips[np.uint8]:
    """A frame with motion blur, strip by strip, as `picture_strips` returns it.

    Args:
        composition: what to render.
        frame: 0 to frames - 1.
        size: longer side in pixels; None for the size of the fit.
        shutter: how long it is open, 0 to 1 of the time from one frame to the next. At 0, and where nothing moves,
            the result has the same bits as `picture_strips`.

    Raises:
        ValueError, IndexError: as `picture_strips`.
    """
    zoom, width, height = canvas_of(composition, size)
    moments = _moments(composition, frame, zoom, shutter)
    if len(moments) == 1:
        return picture_strips(composition, frame, size)
    every = [sprites_at(composition, moment).zoomed(zoom) for moment in moments]
    atlas = composition.atlas_showing(Sprites.joined(every))
    background, space = composition.background(width, height), composition.header.blend_space
    drawn = [drawn_in_strips(scene_with(composition, sprites, (height, width), atlas), background) for sprites in every]
    counts, total = list(moments.values()), sum(moments.values())

    def make(rows: range) -> UInt8Array:
        light: Float32Array = np.zeros((len(rows), width, 4), np.float32)
        for picture, count in zip(drawn, counts):
            light += np.float32(count / total) * into_space(out_of_space(picture.make(rows), space), "linear")
        return straight_from_premultiplied(out_of_space(light, "linear"))

    return Strips(height, width, make, drawn[0].multiple)


def sprites_at(composition: Composition, moment: float) -> Sprites:
    """The sprites, float64, at a moment from 0 (the first frame) to frames - 1.

    Positions, angles, the logarithm of the size, opacities and tints change evenly. A sprite that is invisible in one
    of the two frames is where it is in the other one: it fades, and does not fly.
    """
    first = min(int(moment), composition.frames - 1)
    share = moment - first
    before = composition.sprites(first).double()
    if share == 0:
        return before
    after = composition.sprites(first + 1).double()
    before, after = _kept_in_place(before, after), _kept_in_place(after, before)
    between = {
        name: (1 - share) * getattr(before, name) + share * getattr(after, name)
        for name in ("x", "y", "aspect", "theta", "opacity", "tint")
    }
    scale = np.exp((1 - share) * np.log(before.scale) + share * np.log(after.scale))
    return replace(before, scale=scale, **between)


def is_cut(composition: Composition, frame: int) -> bool:
    """Whether a new scene begins after a frame: most of what is seen jumps, and not as the picture does as a whole.

    How the picture moves as a whole is the affine motion of the sprites' centers that most of them follow.
    """
    before, after = composition.sprites(frame).double(), composition.sprites(frame + 1).double()
    seen = np.minimum(before.opacity, after.opacity)
    seen = np.where(seen > FAINT, seen * before.scale * after.scale, 0.0)
    if not seen.any():
        return True
    apart = np.stack([after.x - before.x, after.y - before.y], axis=1)
    places = np.stack([before.x, before.y, np.ones(len(before))], axis=1)
    far = np.hypot(*apart.T)
    weights = seen
    for _ in range(4):  # each time without those that do not follow
        root = np.sqrt(weights)[:, None]
        whole = np.linalg.lstsq(root * places, root * apart, rcond=None)[0]
        far = np.hypot(*(apart - places @ whole).T)
        follows = far <= max(2.0 * float(np.median(far[seen > 0])), 1e-6)
        weights = np.where(follows, seen, 0.0)
    jumps = far > JUMP * np.maximum(before.scale, after.scale)
    return bool(seen[jumps].sum() > CUT * seen.sum())


def _moments(composition: Composition, frame: int, zoom: float, shutter: float) -> Counter[float]:
    """The moments that make up a frame, and how often each counts."""
    least, most = float(frame), float(frame)
    if shutter > 0 and frame > 0 and not is_cut(composition, frame - 1):
        least -= shutter / 2
    if shutter > 0 and frame + 1 < composition.frames and not is_cut(composition, frame):
        most += shutter / 2
    way = sum(_way(composition, at) for at, open in ((frame - 1, least < frame), (frame, most > frame)) if open)
    count = min(MOST, math.ceil(way * zoom * shutter / 2 / STEP) // 2 * 2 + 1) if way else 1
    shares = (np.arange(count) + 0.5) / count - 0.5
    return Counter(np.clip(frame + shutter * shares, least, most).tolist())


def _way(composition: Composition, frame: int) -> float:
    """How far the edge of any sprite that is seen moves from a frame to the next, canvas pixels."""
    before, after = composition.sprites(frame).double(), composition.sprites(frame + 1).double()
    moving = _seen_in_both(before, after)
    if not moving.any():
        return 0.0
    before, after = before.take(moving), after.take(moving)
    rim: Float64Array = np.maximum(before.scale, after.scale)
    ways = np.hypot(after.x - before.x, after.y - before.y) + rim * np.abs(after.theta - before.theta)
    grown = np.abs(np.log(after.scale / before.scale)) + np.abs(after.aspect - before.aspect) / 2
    return float((ways + rim * grown).max())


def _seen_in_both(before: Sprites, after: Sprites) -> BoolArray:
    return np.asarray(np.minimum(before.opacity, after.opacity) > FAINT)


def _kept_in_place(sprites: Sprites, others: Sprites) -> Sprites:
    """The sprites, with those that are invisible as they are in the `others`, but for their opacity."""
    hidden = np.flatnonzero(sprites.opacity <= 0)
    return replace(sprites.put(hidden, others.take(hidden)), opacity=sprites.opacity)
