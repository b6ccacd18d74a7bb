# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of templates: a few cells of color and alpha, by which those that suit a place are found among many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...arrays import Float32Array, Float64Array, FloatArray, Int64Array
from ...raster.atlas import area_resample


@dataclass(frozen=True)
class SignatureSettings:
    """How templates are compared with places.

    Attributes:
        side: cells of a signature along each side of the square about a template.
        empty: alpha below which a cell counts as empty.
        luck: largest random difference of two costs: templates that suit all places alike take turns.
        sparse: of the templates' median alpha; those with less than this part of it come last.
        sparse_cost: what is added to their errors, more than any error is.
        together: places that are compared with all templates at a time, so few that their costs stay in the cache.
        piece: places and templates that are multiplied at a time: too few for several threads. On all cores, a library
            of linear algebra waits longer for its threads than such a product takes.
    """

    side: int = 4
    empty: float = 1e-3
    luck: float = 1e-4
    sparse: float = 0.25
    sparse_cost: float = 4.0
    together: int = 64
    piece: tuple[int, int] = (8, 1000)


class Signatures:
    """Signatures of T templates, for a color mix.

    Args:
        cells: [T, side, side, 4] of each template, see `cells_of`.
        mix: color mix, 0 to 1: what of a template's own colors shows. The rest is a tint that may be any.
        settings: see `SignatureSettings`.

    Attributes:
        side: cells along each side of the square.
    """

    def __init__(self, cells: Float32Array, mix: float, settings: SignatureSettings = SignatureSettings()) -> None:
        self.side = settings.side
        self._settings = settings
        flat = cells.reshape(len(cells), -1, 4)
        self._mix = mix
        alpha, own = flat[..., 3], np.float32(mix) * flat[..., :3]
        # The error over a place p of the colors `own`: alpha p^2 - 2 own p + own^2. What is left of it for a tint, of
        # each channel: alpha p - own. Both as means over the template, that is divided by its whole alpha.
        squares = (own**2).sum(axis=2, keepdims=True) / np.maximum(alpha, settings.empty)[..., None]
        error = [alpha, *(-2 * own).transpose(2, 0, 1), squares.sum(axis=1)] if mix > 0 else [alpha]
        left = [[alpha, -channel.sum(axis=1, keepdims=True)] for channel in own.transpose(2, 0, 1)]
        area = np.maximum(alpha.sum(axis=1, keepdims=True), np.float32(settings.empty))
        # There is less to differ under a sliver, which would be found everywhere, and made many times as large.
        self._sparse = np.float32(settings.sparse_cost) * (area[:, 0] < settings.sparse * np.median(area))
        self._error, *self._left = (
            np.ascontiguousarray((np.concatenate(factors, axis=1) / area).T) for factors in (error, *left)
        )  # [K, T] or [4 K + 1, T]; [K + 1, T] of each channel

    @staticmethod
    def cells_of(bitmap: FloatArray, settings: SignatureSettings = SignatureSettings()) -> Float32Array:
        """[side, side, 4]: mean colors, premultiplied, of the cells of the square about a template.

        Args:
            bitmap: [height, width, 4] premultiplied, in the blend space; it lies in the middle of the square.
        """
        height, width, _ = bitmap.shape
        longer = max(height, width)
        rows = np.tensordot(_averages(settings.side, longer, height), bitmap, 1)
        cells: Float32Array = np.matmul(_averages(settings.side, longer, width), rows)
        return cells

    def offsets(self) -> Float64Array:
        """[K, 2]: x and y of the centers of the cells, -1 to 1 over the square, row by row."""
        along = (2 * np.arange(self.side) + 1) / self.side - 1
        y, x = np.meshgrid(along, along, indexing="ij")
        return np.stack([x.ravel(), y.ravel()], axis=1)

    def nearest(self, places: Float32Array, templates: range, number: int, rng: np.random.Generator) -> Int64Array:
        """For each place a template that suits it: one of the `number` that suit it best, by chance.

        Args:
            places: [M, K, 3] colors of a target, straight, at the cells of the square about a sprite.
            templates: those to choose among.
            number: at least 1.
            rng: source of every random choice.

        Returns:
            [M] indices of templates.
        """
        number = min(number, len(templates))
        rank = rng.integers(0, number, len(places))
        noise = rng.uniform(0, self._settings.luck, len(templates)).astype(np.float32)
        noise += self._sparse[templates.start : templates.stop]
        chosen = [
            np.argpartition(cost + noise, number - 1, axis=1)[np.arange(len(cost)), rank[first : first + len(cost)]]
            for first, cost in self._costs(places, slice(templates.start, templates.stop))
        ]
        result: Int64Array = templates.start + (np.concatenate(chosen) if chosen else np.zeros(0, np.int64))
        return result

    def _costs(self, places: Float32Array, which: slice) -> Iterator[tuple[int, Float32Array]]:
        """The mean squared error over each template's cells, with its best tint: first place, [m, T] from there on."""
        error, left = self._error[:, which], [factors[:, which] for factors in self._left]
        free = np.float32(1 - self._mix)
        for first in range(0, len(places), self._settings.together):
            p = places[first : first + self._settings.together]
            one = np.ones((len(p), 1), np.float32)
            colors = [p[..., channel] for channel in range(3)]
            squares = (p**2).sum(axis=2)
            cost = self._product(np.concatenate([squares, *colors, one], axis=1) if self._mix > 0 else squares, error)
            for color, factors in zip(colors, left if free > 0 else []):
                taken = self._product(np.concatenate([color, one], axis=1), factors)
                if self._mix == 0:  # a tint can be any mean color
                    taken *= taken
                else:
                    shown = np.clip(taken, 0, free)  # taken from its share alone
                    taken *= 2
                    taken -= shown
                    taken *= shown
                cost -= taken
            yield first, cost

    def _product(self, places: Float32Array, templates: Float32Array) -> Float32Array:
        """[M, T], the product of [M, K] and [K, T], in pieces."""
        rows, columns = self._settings.piece
        count = len(places)
        padded = np.zeros((-(-count // rows) * rows, places.shape[1]), np.float32)
        padded[:count] = places
        pieces = padded.reshape(-1, rows, padded.shape[1])
        result = np.empty((*pieces.shape[:2], templates.shape[1]), np.float32)
        for first in range(0, templates.shape[1], columns):
            here = slice(first, first + columns)
            np.matmul(pieces, templates[:, here], out=result[..., here])
        return result.reshape(len(padded), -1)[:count]


@lru_cache
def _averages(number: int, length: int, inside: int) -> Float32Array:
    """[number, inside]: factors of the means over `number` cells of a length, of the numbers that lie in its middle."""
    first = (length - inside) // 2
    return area_resample(np.eye(length), number, 0)[:, first : first + inside].astype(np.float32)
