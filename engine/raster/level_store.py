# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of mip levels for more templates than one atlas can hold whole: each is held at the size in which it is used.

The levels of a template are its own size, halved again and again. So what a template looks like depends on which of its
levels are held, and on nothing else: not on when they were brought, and not on what else is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray, Int32Array, Int64Array, IntegerArray, UInt16Array, UInt64Array
from ..thread_count import map_on_threads
from .atlas import MARGIN, MAX_STORED, TEXELS_PER_PIXEL, Atlas, mean_luma, quads_of, stored_texels

ABSENT = -1
"""In place of a number of halvings: the template is not in the atlas; sprites of it would be invisible."""

SPARE = 2**21
"""Texels, at least, that a store has room for beyond those that are held."""

AT_A_TIME = 64
"""Templates that are brought together, on all cores."""

LevelSource = Callable[[int, int], Iterable[UInt16Array]]
"""The pyramid of a template, given its index and how often both sides of the finest level are halved, rounded up: each
level as `smalti.engine.raster.atlas.pyramid` returns it, finest first."""


@dataclass(frozen=True, eq=False)
class StoredAtlas(Atlas):
    """An atlas whose texels lie in a store."""

    quads: UInt64Array

    @property
    def alpha_quads(self) -> UInt64Array:
        """See `Atlas.alpha_quads`."""
        return self.quads


@dataclass(frozen=True, eq=False)
class _Block:
    """Where the pyramid of one template lies, from one of its levels on. `levels`: [L, 3], their bases from `start`."""

    start: int
    size: int
    levels: Int32Array


class LevelStore:
    """Pyramids of T templates, each from a level of its own on.

    Args:
        pyramid_of: see `LevelSource`.
        shapes: [T, 2] width and height of each template.
        base: [T] halvings at which the mean luma of each template is measured.
        one_user: an atlas is used only until the next one is asked for, so that texels can be moved within their
            memory. Otherwise all atlases stay valid.
    """

    def __init__(
        self, pyramid_of: LevelSource, shapes: IntegerArray, base: IntegerArray, one_user: bool = False
    ) -> None:
        self._one_user = one_user
        self._pyramid_of = pyramid_of
        self._shapes = np.asarray(shapes, np.int64)
        self._base = base
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._luma: dict[int, float] = {}
        self._texels = np.zeros((0, 4), np.uint16)
        self._quads = np.zeros(0, np.uint64)
        self._used = 0
        side = 1 + 2 * MARGIN
        self._nothing = _Block(0, side * side, np.array([[0, 1, 1]], np.int32))

    def atlas(self, halvings: IntegerArray) -> Atlas:
        """The templates from these levels on; what is not held is brought.

        Args:
            halvings: [T] how often the finest level of each template is halved; `ABSENT` for none of it.

        Raises:
            ValueError: they are too large together for one atlas.
        """
        required = [(t, k) for t, k in enumerate(halvings.tolist()) if k != ABSENT]
        missing = [key for key in required if key not in self._blocks]
        self._make_room(required, missing)
        for first in range(0, len(missing), AT_A_TIME):
            some = missing[first : first + AT_A_TIME]
            for (template, k), (made, luma) in zip(some, map_on_threads(self._made, some, most=AT_A_TIME)):
                self._luma[template] = luma
                self._blocks[template, k] = self._put(made)
        blocks = [self._nothing if k == ABSENT else self._blocks[t, k] for t, k in enumerate(halvings.tolist())]
        counts = [len(block.levels) for block in blocks]
        levels = np.concatenate([block.levels for block in blocks])
        levels[:, 0] += np.repeat(np.array([block.start for block in blocks], np.int32), counts)
        lumas = np.zeros(len(blocks), np.float32)
        for template, _ in required:
            lumas[template] = self._luma[template]
        first_level = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return StoredAtlas(self._texels[: self._used], levels, first_level, lumas, self._quads[: self._used])

    def _sizes(self, keys: list[tuple[int, int]]) -> Int64Array:
        """Texels of each block."""
        template, k = np.array(keys, np.int64).reshape(-1, 2).T
        return stored_texels(halved(self._shapes[template], k))

    def _make_room(self, required: list[tuple[int, int]], missing: list[tuple[int, int]]) -> None:
        """Let there be room for what is missing. What is held and not required goes only where room is needed."""
        need = int(self._sizes(missing).sum())
        if self._used and self._used + need <= len(self._texels):
            return
        kept = sorted(((key, self._blocks[key]) for key in required if key in self._blocks), key=lambda it: it[1].start)
        size = self._nothing.size + sum(block.size for _, block in kept)
        texels, quads = self._texels, self._quads
        if size + need > len(texels) or not self._one_user:
            length = size + need + max(SPARE, (size + need) // 4)
            if length > MAX_STORED:
                raise ValueError("the bitmaps are too large together for one atlas")
            # Memory that is not written to is not taken from the system.
            texels, quads = np.empty((length, 4), np.uint16), np.empty(length, np.uint64)
        texels[: self._nothing.size], quads[: self._nothing.size] = 0, 0
        self._blocks, self._used = {}, self._nothing.size
        for key, block in kept:  # downwards, in order, so that nothing is overwritten before it is moved
            old, new = (slice(at, at + block.size) for at in (block.start, self._used))
            texels[new], quads[new] = self._texels[old], self._quads[old]
            self._blocks[key] = _Block(self._used, block.size, block.levels)
            self._used += block.size
        self._texels, self._quads = texels, quads

    def _made(self, key: tuple[int, int]) -> tuple[list[UInt16Array], float]:
        """The pyramid of a template, and its mean luma."""
        template, k = key
        base = int(self._base[template])
        levels = list(self._pyramid_of(template, k))
        if (mean := self._luma.get(template)) is None:
            whole = levels[0] if k == base else next(iter(self._pyramid_of(template, base)))
            mean = mean_luma(whole.astype(np.float32))
        return levels, mean

    def _put(self, pyramid: list[UInt16Array]) -> _Block:
        """Put a pyramid behind all others."""
        start, levels = self._used, []
        for level in pyramid:
            rows, columns, _ = level.shape
            here = slice(self._used, self._used + rows * columns)
            self._texels[here] = level.reshape(-1, 4)
            self._quads[here] = quads_of(level[..., 3]).reshape(-1)
            levels.append((self._used - start, columns - 2 * MARGIN, rows - 2 * MARGIN))
            self._used += rows * columns
        return _Block(start, self._used - start, np.array(levels, np.int32))


def halved(shapes: IntegerArray, halvings: IntegerArray) -> Int64Array:
    """[T, 2]: widths and heights [T, 2] after some halvings [T], rounded up."""
    sides = np.asarray(shapes, np.int64)
    result: Int64Array = -(-sides >> np.asarray(halvings, np.int64)[:, None])
    return result


def halvings_within(shapes: IntegerArray, longest: float) -> Int64Array:
    """[T]: how often templates [T, 2] are halved until their longer sides are within `longest` texels."""
    longer = np.asarray(shapes).max(axis=1)
    halvings: Int64Array = np.ceil(np.log2(np.maximum(longer / longest, 1.0))).astype(np.int64)
    return halvings


def base_halvings(shapes: IntegerArray, texels: int, longest: int) -> Int64Array:
    """[T]: how often templates [T, 2] are halved so that all of them together take at most this number of texels.

    None is larger than `longest` texels, and none is reduced below eight.
    """
    side = float(longest)
    while True:
        halvings = halvings_within(shapes, side)
        if side <= 8 or int(stored_texels(halved(shapes, halvings)).sum()) <= texels:
            return halvings
        side *= 0.75


def halvings_for(
    template: IntegerArray, lengths: FloatArray, shapes: IntegerArray, at_most: IntegerArray
) -> Int64Array:
    """[T]: how often each template may be halved, so that its sprites have all the texels that they can show.

    Args:
        template: [N] of each sprite.
        lengths: [N] its longer side, in pixels that are drawn.
        shapes: [T, 2] width and height of each template.
        at_most: [T] the result where that is more, or where a template has no sprites.
    """
    longer = np.asarray(shapes).max(axis=1)[template]
    texels = np.maximum(lengths.astype(np.float64) * TEXELS_PER_PIXEL, 1.0)
    of_sprites = np.floor(np.log2(np.maximum(longer / texels, 1.0))).astype(np.int64)
    result = np.array(at_most, np.int64)
    np.minimum.at(result, template, of_sprites)
    return result
