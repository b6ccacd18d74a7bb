# SPDX-License-Identifier: GPL-3.0-or-later
"""Sprites that are moved, turned and scaled as what is seen of them moves.

The motion of a sprite is the similarity that fits the flow of its pixels best, weighted by how much of each pixel is
the sprite's: iteratively reweighted least squares (weights of Geman and McClure), from the weighted median on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float64Array, Int64Array
from ...motion import Flow
from ...motion.measures import at_points
from ...raster import PixelWeights
from ...sprites import Sprites


@dataclass(frozen=True)
class FollowSettings:
    """How sprites follow the flow.

    Attributes:
        rounds: of reweighting.
        tolerance: pixels that a pixel's flow may be off before it counts half as much or less.
        doubt: weight of pixels whose two flows do not agree.
        stiffness: pixels; sprites of which less than this is seen around their middle neither turn nor grow.
        growth, turn: most that a sprite grows (a factor) and turns (radians) from a frame to the next.
        least: blending weight below which a pixel does not count.
        still: mean speed, pixels, below which one stays exactly where it is.
    """

    rounds: int = 5
    tolerance: float = 0.7
    doubt: float = 0.02
    stiffness: float = 2.0
    growth: float = 1.3
    turn: float = 0.5
    least: float = 0.03
    still: float = 0.03


def followed(sprites: Sprites, seen: PixelWeights, flow: Flow, settings: FollowSettings) -> Sprites:
    """The sprites where the flow takes them, float64. What is not seen goes where its middle goes.

    Args:
        sprites: of the frame before.
        seen: what is seen of them there.
        flow: from there to the frame of now.
        settings: see there.
    """
    speed = np.linalg.norm(flow.ahead, axis=-1)
    own = np.where(
        seen.visible > 0, seen.means(speed), np.linalg.norm(at_points(flow.ahead, sprites.x, sprites.y), axis=1)
    )
    moving = np.flatnonzero(own > settings.still)
    now = sprites.double()
    if not len(moving):
        return now
    return now.put(moving, _followed(now.take(moving), seen.take(moving), flow, settings))


def _followed(sprites: Sprites, seen: PixelWeights, flow: Flow, settings: FollowSettings) -> Sprites:
    """`followed`, of sprites all of which may move."""
    now = sprites.double()
    count = len(now)
    which, pixel = seen.sprite, seen.pixel
    flows = flow.ahead.reshape(-1, 2)[pixel].astype(np.float64)
    points = np.stack([pixel % seen.width, pixel // seen.width], axis=1) + 0.5
    agrees = flow.ahead_agrees.reshape(-1)[pixel]
    weight = (seen.weight * np.where(agrees, 1.0, settings.doubt)).astype(np.float64)

    def mean(values: Float64Array, by: Float64Array) -> Float64Array:
        total = np.maximum(np.bincount(which, by, count), 1e-12)
        sums = [np.bincount(which, by * column, count) for column in values.T]
        return np.asarray(np.stack(sums, axis=1) / total[:, None], np.float64)

    center = np.stack([now.x, now.y], axis=1)
    known = np.bincount(which, weight, count) > 1e-3
    shift = np.stack([_medians(which, column, weight, count) for column in flows.T], axis=1)
    middle = center.copy()
    scaled: Float64Array = np.zeros(count)
    turned: Float64Array = np.zeros(count)
    for _ in range(settings.rounds):
        offset = points - middle[which]
        fitted = shift[which] + _linear(scaled[which], turned[which], offset)
        distance = ((flows - fitted) ** 2).sum(axis=1)
        trust: Float64Array = weight / (1 + distance / settings.tolerance**2) ** 2
        middle, shift = mean(points.astype(np.float64), trust), mean(flows, trust)
        offset, rest = points - middle[which], flows - shift[which]
        dot = (offset * rest).sum(axis=1)
        cross = offset[:, 0] * rest[:, 1] - offset[:, 1] * rest[:, 0]
        spread = (offset**2).sum(axis=1) + settings.stiffness**2
        scaled, turned = (_ratios(which, trust * part, trust * spread, count) for part in (dot, cross))
    grown = np.clip(np.hypot(1 + scaled, turned), 1 / settings.growth, settings.growth)
    angle = np.clip(np.arctan2(turned, 1 + scaled), -settings.turn, settings.turn)
    cosine, sine = grown * np.cos(angle), grown * np.sin(angle)
    motion = shift + _linear(cosine - 1, sine, center - middle)
    elsewhere = at_points(flow.ahead, now.x, now.y)
    motion = np.where(known[:, None], motion, elsewhere)
    return replace(
        now,
        x=now.x + motion[:, 0],
        y=now.y + motion[:, 1],
        scale=now.scale * np.where(known, grown, 1.0),
        theta=now.theta + np.where(known, angle, 0.0),
    )


def _linear(scaled: Float64Array, turned: Float64Array, offset: Float64Array) -> Float64Array:
    """[N, 2]: what offsets [N, 2] change by when they are scaled by 1 + scaled and turned."""
    x, y = offset[:, 0], offset[:, 1]
    return np.stack([scaled * x - turned * y, turned * x + scaled * y], axis=1)


def _ratios(which: Int64Array, part: Float64Array, whole: Float64Array, count: int) -> Float64Array:
    """[N]: each sprite's sum of `part` [M] over that of `whole` [M]; 0 for one without any."""
    return np.asarray(np.bincount(which, part, count) / (np.bincount(which, whole, count) + 1e-12), np.float64)


def _medians(which: Int64Array, values: Float64Array, weight: Float64Array, count: int) -> Float64Array:
    """[N]: each sprite's weighted median of values [M]; `which` [M] is in ascending order."""
    if not len(values):
        return np.zeros(count)
    order = np.lexsort((values, which))
    reached = np.cumsum(weight[order])
    total = np.bincount(which, weight, count)
    half = np.cumsum(total) - 0.5 * total
    at = np.minimum(np.searchsorted(reached, half), len(values) - 1)
    return np.asarray(values[order][at])
