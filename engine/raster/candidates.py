# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates: sprites that are not in the stack, and what inserting each would do to the error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Generic

import numpy as np

from ..arrays import AnyArray, Float64Array, Int32Array, Int64Array
from .scene import ArrayT, Scene, check_templates

COEFFICIENTS = 9
"""Coefficients of a candidate's error: squares, cross (3), own, tint (3), match."""

DRAWN = 0
"""Role of a sprite in a list of sprites and candidates; a candidate's is its `StackPosition`. The numbers are those of
`Role` in engine/kernels/candidate.h."""

SECTIONS = 18
"""Golden sections in which the optimal opacity is bracketed."""
GOLDEN = 0.5 * (5**0.5 - 1)


class StackPosition(IntEnum):
    """Where in the stack a candidate is inserted."""

    IN_PLACE = 1  # where the sprite is that it replaces
    TOP = 2
    BOTTOM = 3


@dataclass(frozen=True, eq=False)
class Candidates(Generic[ArrayT]):
    """M sprites to evaluate, one at a time.

    Attributes:
        affine: [M, 6], see `Scene`.
        template: [M] index into the atlas.
        replaces: [M] index of the sprite that is removed when this one is inserted, or -1.
        position: [M] a `StackPosition` each; `TOP` for one that replaces nothing.
    """

    affine: ArrayT
    template: ArrayT
    replaces: ArrayT
    position: ArrayT

    def __len__(self) -> int:
        return len(self.template)


@dataclass(frozen=True, eq=False)
class CandidateScores(Generic[ArrayT]):
    """Exact changes of the error, that of `image_loss` (mse, not encoded).

    The error with candidate j of opacity o and tint t, minus that without it and without the sprite it replaces, is
    with s = o t: squares (s . s) + 2 o (cross . s) + own o^2 - 2 (tint . s) - 2 match o. Where sprites are shaded, a
    candidate's colors are taken as they are, beyond black and white too.

    Attributes:
        removal_errors: [N] by how much the error grows without each sprite, see `smalti.engine.raster.removal_errors`.
        coefficients: [M, 9] squares, cross (3), own, tint (3), match.
    """

    removal_errors: ArrayT
    coefficients: ArrayT


def check_candidates(scene: Scene[Any], candidates: Candidates[Any]) -> None:
    """Raise ValueError where shapes do not fit, or a position, a template or a replaced sprite does not exist."""
    m, n = len(candidates), len(scene)
    replaces, position = candidates.replaces, candidates.position
    if (tuple(candidates.affine.shape), tuple(replaces.shape), tuple(position.shape)) != ((m, 6), (m,), (m,)):
        raise ValueError("candidates need affine [M, 6], template [M], replaces [M], position [M]")
    check_templates(candidates.template, scene.atlas, "candidate")
    if m and (int(replaces.min()) < -1 or int(replaces.max()) >= n):
        raise ValueError(f"a candidate replaces a sprite outside 0 .. {n - 1}")
    if m and (int(position.min()) < min(StackPosition) or int(position.max()) > max(StackPosition)):
        raise ValueError(f"a candidate's position is none of {', '.join(p.name for p in StackPosition)}")
    if bool(((replaces < 0) & (position != StackPosition.TOP)).any()):
        raise ValueError("a candidate that replaces nothing is inserted on top")


@dataclass(frozen=True, eq=False)
class MergedStack:
    """Sprites and candidates in one list, candidates right above the sprites that they replace.

    Attributes:
        scene: the list. Candidates have opacity 1 and a black tint, which play no part.
        entries: [N + M, 2] int32: `DRAWN` or the candidate's position, and the place in the list of the sprite that it
            replaces, or -1.
        index: [N + M] where in the list the sprites (first) and the candidates are.
    """

    scene: Scene[AnyArray]
    entries: Int32Array
    index: Int64Array


def merged_stack(scene: Scene[AnyArray], candidates: Candidates[AnyArray]) -> MergedStack:
    """Put the candidates among the sprites."""
    count, new = len(scene), len(candidates)
    replaces = candidates.replaces.astype(np.int64)
    inserted = replaces < 0
    order = np.argsort(np.concatenate([np.arange(count), np.where(inserted, count, replaces)]), kind="stable")
    index = np.empty(count + new, np.int64)
    index[order] = np.arange(count + new)
    replaced = np.where(inserted, -1, index[:count][np.maximum(replaces, 0)]) if count else np.full(new, -1)
    entries = np.stack(
        [
            np.concatenate([np.full(count, DRAWN), candidates.position]),
            np.concatenate([np.full(count, -1), replaced]),
        ],
        axis=1,
    )

    def merged(sprites: AnyArray, others: AnyArray) -> AnyArray:
        together: AnyArray = np.concatenate([sprites, others.astype(sprites.dtype)])
        return together[order]

    return MergedStack(
        replace(
            scene,
            affine=merged(scene.affine, candidates.affine),
            opacity=merged(scene.opacity, np.ones(new)),
            tint=merged(scene.tint, np.zeros((new, 3))),
            template=merged(scene.template, candidates.template),
        ),
        np.ascontiguousarray(entries[order], np.int32),
        index,
    )


def optimal_opacity_and_tint(
    coefficients: Float64Array, alpha_max: float, alpha_min: float = 0.0
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The opacity and tint with which each candidate lowers the error most.

    Args:
        coefficients: [M, 9], see `CandidateScores`.
        alpha_max, alpha_min: largest and smallest opacity.

    Returns:
        opacity [M], straight tint [M, 3], and the change of the error [M]: at most 0 where `alpha_min` is 0.
    """
    squares, cross, own, tint, match = np.split(coefficients, np.cumsum([1, 3, 1, 3]), axis=1)
    floor = np.finfo(coefficients.dtype).tiny

    def at(opacity: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The optimal premultiplied tint for an opacity, and the change of the error."""
        premultiplied = np.minimum(np.maximum((tint - opacity * cross) / np.maximum(squares, floor), 0), opacity)
        change = (premultiplied * (squares * premultiplied + 2 * opacity * cross - 2 * tint)).sum(axis=1, keepdims=True)
        return premultiplied, change + opacity * (opacity * own - 2 * match)

    # A sum of squares is convex in opacity and premultiplied tint, so the least over the tints (0 <= s <= o) is convex
    # in the opacity, and golden sections bracket it.
    low, high = np.full_like(own, alpha_min), np.full_like(own, alpha_max)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = at(left)[1], at(right)[1]
    for _ in range(SECTIONS):
        falls = at_left > at_right
        low, high = np.where(falls, left, low), np.where(falls, high, right)
        # One of the two old points is where the next section needs it.
        new = np.where(falls, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        at_new = at(new)[1]
        left, right = np.where(falls, right, new), np.where(falls, new, left)
        at_left, at_right = np.where(falls, at_right, at_new), np.where(falls, at_new, at_left)
    opacity = 0.5 * (low + high)
    premultiplied, change = at(opacity)
    return opacity[:, 0], premultiplied / np.maximum(opacity, floor), change[:, 0]
