# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that a film needs: of each sprite as few as show it within a tolerance. Knows no Blender, only NumPy.

A tolerance is in pixels of the canvas, for a sprite's center, and for its rim where it turns and grows; a pixel is as
bad as two levels of 255 in the picture. A tint may be off by more the less opaque its sprite is. What can stand still
within a shot does, as tints mostly can. No line leads across a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import polylines
from .bridge.choices import BlendSpace
from .composition import Placed

LEVELS_PER_PIXEL = 2.0
# What the picture may be off by is shared out among the sprites (figures: docs/blender-measurements.md).
_OVERLAP = 2.3  # many lie over one another, and what each is off adds up
_RIM = 0.8  # of half the longer side: where a bitmap's outline is, usually
_SEEN = 0.5  # of a sprite, usually: the share that lies under no others
_CONTRAST = 0.25  # of a sprite and what is behind it, usually
_FAINTEST = 0.02  # opacity, below which a tint may be off by no more
_CUT = 0.08  # of the canvas's longer side: how far half of the sprites are from where the others would have them
_LEAST = 8  # sprites that it takes to see that


_ARRAYS = ("location", "rotation", "scale", "colour")
_ROUNDED = 4e-7

Channel = tuple[str, int, Any]
"""A channel: its array, which of its numbers it is, and [F, N] one over what that may be off."""


@dataclass(frozen=True)
class Keys:
    """What is keyed.

    Attributes:
        placed: the sprites as they are on the lines between keys, in every frame.
        kept: which of these numbers are keys, bool in the same arrays.
        first: bool [F], the frames that begin a shot.
    """

    placed: Placed
    kept: Placed
    first: Any


def all_keys(placed: Placed) -> Keys:
    """Everything that changes, in every frame."""
    values = {name: getattr(placed, name) for name in _ARRAYS}
    kept = {name: np.broadcast_to((each != each[:1]).any(0), each.shape) for name, each in values.items()}
    first = np.zeros(len(placed.rotation), bool)
    first[0] = True
    return Keys(placed, Placed(**kept, height=placed.height), first)


def fewer_keys(placed: Placed, tolerance: float, unit: float, space: BlendSpace) -> Keys:
    """The fewest keys that can be found.

    Args:
        placed: sprites.
        tolerance: canvas pixels; 0 for `all_keys`.
        unit: Blender units per canvas pixel.
        space: what the numbers of tints are in.
    """
    if not tolerance or len(placed.rotation) < 3:
        return all_keys(placed)
    return _reduced(placed, lambda values: _channels(values, tolerance, unit, space))


def straight_keys(placed: Placed) -> Keys:
    """Keys only where numbers do not stay on the straight line from the one before to the next."""
    return _reduced(placed, _exact_channels)


def _reduced(placed: Placed, channels_of: Callable[[dict[str, Any]], Iterable[Channel]]) -> Keys:
    """The fewest keys. `channels_of`: the channels of a shot, of which the arrays are given by name."""
    first = shots(placed)
    values = {name: np.array(getattr(placed, name), np.float64) for name in _ARRAYS}
    kept = {name: np.zeros(each.shape, bool) for name, each in values.items()}
    starts = np.flatnonzero(first).tolist()
    for begin, end in zip(starts, [*starts[1:], len(first)]):
        shot = slice(begin, end)
        own = {name: each[shot] for name, each in values.items()}
        for name, number, weight in channels_of(own):
            one = (slice(None), slice(None), number) if own[name].ndim == 3 else ...
            _reduce(own[name][one], kept[name][shot][one], weight)
    lines = {name: each.astype(np.float32) for name, each in values.items()}
    for name, each in lines.items():
        kept[name] &= (each != each[:1]).any(0)
    return Keys(Placed(**lines, height=placed.height), Placed(**kept, height=placed.height), first)


def shots(placed: Placed) -> Any:
    """Bool [F], the frames that begin a shot: there sprites are placed again, instead of moving with one another."""
    frames, sprites = placed.rotation.shape
    first = np.zeros(frames, bool)
    first[0] = True
    if sprites < _LEAST:
        return first
    extent = float(np.ptp(placed.location, axis=(0, 1)).max())
    for frame in range(1, frames):
        before, now = placed.location[frame - 1 : frame + 1].astype(np.float64)
        moved = np.concatenate((before, np.ones((sprites, 1))), 1)
        rest = now - moved @ np.linalg.lstsq(moved, now, rcond=None)[0]
        first[frame] = np.median(np.hypot(*rest.T)) > _CUT * extent
    return first


def _channels(values: dict[str, Any], tolerance: float, unit: float, space: BlendSpace) -> list[Channel]:
    """Every channel, with what it may be off in a picture."""
    opacity = values["colour"][..., 3]
    # Along x and y together twice as much, as an area.
    pixels = np.full_like(opacity, _OVERLAP * 2**0.5 / (tolerance * unit))
    level = 255 / (LEVELS_PER_PIXEL * tolerance)
    tint = np.clip(opacity, _FAINTEST, 1) * level * _SEEN
    if space == "linear":  # a level of a dark tint is less of light
        darkest = values["colour"][..., :3].min(-1)
        tint = tint * np.clip(0.4396 * np.maximum(darkest, 1e-3) ** (-1.4 / 2.4), 0.4396, 12.92)
    return [
        *(("location", axis, pixels) for axis in (0, 1)),
        ("rotation", 0, pixels * _RIM * values["scale"].max(-1)),
        *(("scale", axis, pixels) for axis in (0, 1)),
        *(("colour", number, tint) for number in (0, 1, 2)),
        ("colour", 3, np.full_like(opacity, level * _CONTRAST)),
    ]


def _exact_channels(values: dict[str, Any]) -> Iterator[Channel]:
    """Every channel, with what float32 does not tell apart."""
    for name, each in values.items():
        for number in range(each[0, 0].size):
            one = each if each.ndim == 2 else each[..., number]
            yield name, number, 1 / (_ROUNDED * np.maximum(1, np.abs(one)))


def _reduce(values: Any, kept: Any, weight: Any) -> None:
    """Put a channel of a shot, [F, N], on lines, and mark its keys; both in place."""
    own, weight = values.T, weight.T
    still, value = polylines.held(own, weight)
    moving = np.flatnonzero(~still)
    values[:, still], kept[0] = value[still], True
    if len(values) > 1 and len(moving):
        at, lines = polylines.fit(own[moving], weight[moving])
        values[:, moving], kept[:, moving] = lines.T, at.T
