# SPDX-License-Identifier: GPL-3.0-or-later
"""How often bitmaps may be used, and how far apart: what is allowed, and templates chosen within it.

What is limited are bitmaps, of which several templates may be: a bitmap and its mirror image count together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smalti.bridge.errors import SmaltiError, bad_setting, named
from smalti.bridge.job import JobSpec

from ..arrays import BoolArray, Float32Array, Float64Array, FloatArray, Int64Array, IntegerArray
from .groups import Group

Costs = Callable[[Int64Array], FloatArray]
"""[M, T]: what each template would cost at M sprites; infinite for those that are not theirs."""


@dataclass(frozen=True, eq=False)
class UseLimits:
    """What is allowed.

    Attributes:
        bitmap: [T] the bitmap of each template, 0 to B - 1.
        most: [B] how often each bitmap may be used.
        pool: [B] the pool of each bitmap.
        spare: [P] how many bitmaps of a pool may be used once more than that.
        distance: least distance of the centers of two sprites of one bitmap, canvas pixels; 0 for none.
        group: [T] the group of each template, which no sprite leaves.
        colors: [T, 3] the mean color of each template, by which one takes another's place.
        margin: pixels added to the distance where sprites are put, so that it is kept in single precision too.
    """

    bitmap: Int64Array
    most: Int64Array
    pool: Int64Array
    spare: Int64Array
    distance: float
    group: Int64Array
    colors: Float64Array
    margin: float = 0.01

    @classmethod
    def of(cls, job: JobSpec, groups: Sequence[Group], colors: Float64Array) -> UseLimits | None:
        """Those of a job; None where it has none.

        Args:
            groups: of its sprites.
            colors: see `UseLimits`.
        """
        if job.max_uses is None and not job.use_all and not job.min_distance:
            return None
        bitmap, pool, sprites = _bitmaps_of(job, groups)
        each = np.bincount(pool, minlength=len(sprites))
        most, spare = np.full(len(sprites), job.max_uses or np.iinfo(np.int32).max), np.zeros(len(sprites), np.int64)
        if job.use_all:
            most, spare = sprites // np.maximum(each, 1), sprites % np.maximum(each, 1)
        group = np.concatenate([np.full(len(g.templates), i, np.int64) for i, g in enumerate(groups)])
        return cls(bitmap, most[pool], pool, spare, job.min_distance, group, colors)

    def likeness(self, template: IntegerArray) -> Float64Array:
        """[M, T]: how much templates differ in color from those given [M]; infinite for those of other groups."""
        square = (self.colors**2).sum(axis=1)
        away = square + square[template][:, None] - 2 * self.colors[template] @ self.colors.T
        same: BoolArray = self.group[None] == self.group[template][:, None]
        return np.where(same, away, np.inf)

    def kept(self, template: IntegerArray, x: FloatArray, y: FloatArray) -> bool:
        """Whether sprites with these templates [N] and centers keep all limits."""
        count = np.bincount(self.bitmap[template], minlength=len(self.most))
        more = np.bincount(self.pool[count > self.most], minlength=len(self.spare))
        often = bool((count > self.most + 1).any() or (more > self.spare).any())
        return not (often or self.too_close(template, x, y).any())

    def too_close(self, template: IntegerArray, x: FloatArray, y: FloatArray, margin: float = 0.0) -> BoolArray:
        """[N]: which sprites are too close to another one of their bitmap, by the least distance and a margin."""
        result = np.zeros(len(template), bool)
        if not self.distance:
            return result
        bitmap = self.bitmap[template]
        order = np.argsort(bitmap, kind="stable")
        for own in np.split(order, np.flatnonzero(np.diff(bitmap[order])) + 1):
            if len(own) > 1:
                place = x[own].astype(np.float64) + 1j * y[own].astype(np.float64)
                for first in range(0, len(own), 1024):  # a part at a time: all pairs may be many
                    near = np.abs(place[first : first + 1024, None] - place) < self.distance + margin
                    result[own[first : first + 1024]] = near.sum(axis=1) > 1
        return result


class Uses:
    """Which bitmaps are used where, kept up to date while templates change.

    Args:
        limits: what is allowed.
        template: [N] of the sprites; -1 for one that is not there yet.
        x, y: [N] their centers, canvas pixels.
    """

    def __init__(self, limits: UseLimits, template: IntegerArray, x: FloatArray, y: FloatArray) -> None:
        self.limits = limits
        self.template = np.full(len(template), -1, np.int64)
        self.bitmap = np.full(len(template), -1, np.int64)
        self._place = x.astype(np.float64) + 1j * y.astype(np.float64)
        self._count = np.zeros(len(limits.most), np.int64)
        self._more = np.zeros(len(limits.spare), np.int64)
        for k in np.flatnonzero(template >= 0).tolist():
            self.put(k, int(template[k]))

    def put(self, k: int, template: int, at: complex | None = None) -> None:
        """Let sprite k, which is not there, have a template; `at` x + iy if it is elsewhere now."""
        b = int(self.limits.bitmap[template])
        self.template[k], self.bitmap[k] = template, b
        self._count[b] += 1
        self._more[self.limits.pool[b]] += self._count[b] == self.limits.most[b] + 1
        if at is not None:
            self._place[k] = at

    def remove(self, k: int) -> None:
        """Take sprite k away, if it is there."""
        b = self.bitmap[k]
        if b >= 0:
            self._more[self.limits.pool[b]] -= self._count[b] == self.limits.most[b] + 1
            self._count[b] -= 1
            self.template[k] = self.bitmap[k] = -1

    def open(self) -> BoolArray:
        """[B]: which bitmaps may be used once more."""
        limits = self.limits
        spare = (self._more < limits.spare)[limits.pool]
        allowed: BoolArray = (self._count < limits.most) | ((self._count == limits.most) & spare)
        return allowed

    def near(self, k: int, at: complex | None = None) -> Int64Array:
        """The sprites too close to sprite k, or to where it would be, for one of its bitmap; not itself."""
        if not self.limits.distance:
            return np.zeros(0, np.int64)
        away = self._place - (self._place[k] if at is None else at)
        reach = self.limits.distance + self.limits.margin
        close = np.flatnonzero((away.real**2 + away.imag**2 < reach**2) & (self.bitmap >= 0))
        others: Int64Array = close[close != k]
        return others

    def crowd(self, k: int, at: complex | None = None) -> Int64Array:
        """[B]: how many sprites of each bitmap are that close."""
        return np.asarray(np.bincount(self.bitmap[self.near(k, at)], minlength=len(self._count)), np.int64)

    def blocked(self, bitmap: int, without: int) -> Int64Array:
        """[N]: how many sprites of a bitmap are too close to each sprite for one more; one is not counted."""
        result = np.zeros(len(self.template), np.int64)
        if self.limits.distance:
            for k in np.flatnonzero(self.bitmap == bitmap).tolist():
                if k != without:
                    result[self.near(k)] += 1
        return result

    def allowed(self, k: int, at: complex | None = None) -> BoolArray:
        """[T]: which templates sprite k, which is not there, may have."""
        free = self.open() & (self.crowd(k, at) == 0)
        allowed: BoolArray = free[self.limits.bitmap]
        return allowed

    def try_change(self, k: int, template: int, at: complex) -> bool:
        """Give sprite k another template and place if that is allowed. Returns whether it was."""
        before, place = int(self.template[k]), self._place[k]
        self.remove(k)
        good = bool(self.allowed(k, at)[template])
        self.put(k, template if good else before, at if good else place)
        return good

    def move(
        self, which: IntegerArray, template: IntegerArray, x: FloatArray, y: FloatArray
    ) -> tuple[BoolArray, Int64Array]:
        """Move sprites `which` [M] to other centers [M], with templates [M], or those most like them that are allowed.

        Returns which of them could be moved, and the templates of all; one without any stays as it was.
        """
        moved, given = np.zeros(len(which), bool), template.astype(np.int64)
        for i, k in enumerate(which.tolist()):
            before, at = int(self.template[k]), complex(x[i], y[i])
            self.remove(k)
            cost = np.where(self.allowed(k, at), self.limits.likeness(given[i : i + 1])[0], np.inf)
            best = int(np.argmin(cost))
            moved[i] = bool(np.isfinite(cost[best]))
            if moved[i]:
                given[i] = best
                self.put(k, best, at)
            else:
                self.put(k, before)
        return moved, given

    def fill(self, which: Iterable[int], costs: Costs) -> list[int]:
        """Give each of the sprites `which`, one after another, the cheapest template that is allowed.

        Where none is, two sprites are given each other's, if that helps. Returns those for which nothing does; they
        have a template that is too close to another.
        """
        left = []
        for k in which:
            self.remove(k)
            (cost,) = costs(np.array([k]))
            free = self.allowed(k) & np.isfinite(cost)
            if free.any():
                self.put(k, int(np.argmin(np.where(free, cost, np.inf))))
                continue
            possible = self.open()[self.limits.bitmap] & np.isfinite(cost)
            if not possible.any():
                possible = np.isfinite(cost)
            crowd = self.crowd(k)[self.limits.bitmap]
            self.put(k, int(np.argmin(np.where(possible, cost + 1e6 * crowd, np.inf))))
            left.append(k)
        return [k for k in left if not self._freed(k, costs)]

    def _freed(self, k: int, costs: Costs) -> bool:
        """Whether a sprite that is too close to another now is so no longer, by the cheapest exchange."""
        if not self.crowd(k)[self.bitmap[k]]:
            return True
        gain = self.exchange_gains(k, costs(np.arange(len(self.template))))
        gain[self.bitmap == self.bitmap[k]] = -np.inf
        best = int(np.argmax(gain))
        if np.isfinite(gain[best]):
            self.exchange(k, best)
            return True
        return False

    def exchange_gains(self, k: int, cost: FloatArray) -> Float64Array:
        """[N]: by how much the cost [N, T] falls where sprite k gets another's template, and that one its own.

        Minus infinity where that is not allowed.
        """
        template, own = self.template, self.bitmap[k]
        every = np.arange(len(template))
        mine = cost[every, np.maximum(template, 0)].astype(np.float64)
        after = cost[k, np.maximum(template, 0)] + cost[:, template[k]].astype(np.float64)
        gain = np.where(np.isfinite(after), mine[k] + mine - after, -np.inf)
        gain[(self.bitmap == own) & (template == template[k]) | (template < 0)] = -np.inf
        if self.limits.distance:
            near = self.near(k)
            crowd = self.crowd(k)[np.maximum(self.bitmap, 0)]
            crowd[near] -= 1  # the one that goes
            other = self.bitmap != own
            gain[other & ((crowd > 0) | (self.blocked(int(own), k) > 0))] = -np.inf
        return gain

    def exchange(self, i: int, j: int) -> None:
        """Give two sprites each other's templates."""
        first, second = int(self.template[i]), int(self.template[j])
        self.remove(i)
        self.remove(j)
        self.put(i, second)
        self.put(j, first)

    def improve(self, cost: Float32Array, order: IntegerArray, most: int) -> None:
        """Exchange and change templates as long as the cost [N, T] falls, in at most `most` rounds over all sprites."""
        for _ in range(most):
            changed = 0
            for k in order.tolist():
                changed += self._improved(k, cost)
            if not changed:
                break

    def _improved(self, k: int, cost: Float32Array) -> bool:
        gain = self.exchange_gains(k, cost)
        best = int(np.argmax(gain))
        template = int(self.template[k])
        self.remove(k)
        row = np.where(self.allowed(k), cost[k], np.inf)
        other = int(np.argmin(row))
        falls = float(cost[k, template]) - float(row[other])
        tolerance = 1e-6 * float(cost[k, template])
        is_change = falls > max(tolerance, gain[best])
        self.put(k, other if is_change else template)
        if is_change:
            return True
        if gain[best] > tolerance + 1e-9:
            self.exchange(k, best)
            return True
        return False

    def broken(self) -> Int64Array:
        """Sprites whose templates must change so that all is allowed: the uppermost of those that break a limit."""
        first = Uses(self.limits, np.full_like(self.template, -1), self._place.real, self._place.imag)
        bad = []
        for k, template in enumerate(self.template.tolist()):
            if template < 0:
                continue
            if first.allowed(k)[template]:
                first.put(k, template)
            else:
                bad.append(k)
        return np.array(bad, np.int64)


def check_uses(job: JobSpec, groups: Sequence[Group], size: tuple[int, int]) -> None:
    """Check that there are enough bitmaps for a job's limits.

    Args:
        groups: of its sprites.
        size: height and width of the canvas.

    Raises:
        SmaltiError: code ``"too_few_bitmaps"``, or ``"bad_setting"`` for a distance that surely cannot be kept.
    """
    if job.max_uses is None and not job.min_distance:
        return
    _, pool, sprites = _bitmaps_of(job, groups)
    for number, count in zip(np.bincount(pool).tolist(), sprites.tolist()):
        if job.max_uses is not None and count > job.max_uses * number:
            raise SmaltiError(
                f"{count:,} sprites cannot be made of {number:,} bitmap{'s' * (number != 1)} with "
                f"{named('max_uses')} {job.max_uses}, which is enough for {job.max_uses * number:,}.",
                f"Choose fewer sprites, more bitmaps, or another {named('max_uses')}.",
                "too_few_bitmaps",
                setting="max_uses",
            )
        # Discs of this diameter do not overlap, and at most about 0.9069 of any area is within such.
        reach = job.min_distance
        room = (size[0] + reach) * (size[1] + reach)
        if reach and 0.25 * np.pi * reach**2 * count > 0.9069 * room * number:
            raise distance_too_large(job)


def distance_too_large(job: JobSpec) -> SmaltiError:
    """What says that copies of a bitmap cannot be that far apart."""
    return bad_setting("min_distance", job.min_distance, "smaller, or there must be fewer sprites or more bitmaps")


def _bitmaps_of(job: JobSpec, groups: Sequence[Group]) -> tuple[Int64Array, Int64Array, Int64Array]:
    """`UseLimits.bitmap` and `UseLimits.pool`, and how many sprites are made of each pool: groups may share bitmaps."""
    sources = ([None] if job.count else []) + [region.primitives for region in job.regions]
    pools = list(dict.fromkeys(sources))
    bitmap, sprites = [], np.zeros(len(pools), np.int64)
    starts: dict[str | None, int] = {}
    pool_of: list[int] = []
    for source, group in zip(sources, groups):
        number = len(group.templates) // (2 if job.mirror else 1)
        if source not in starts:
            starts[source] = len(pool_of)
            pool_of += [pools.index(source)] * number
        bitmap.append(starts[source] + np.arange(len(group.templates)) % number)
        sprites[pools.index(source)] += group.count
    return np.concatenate(bitmap).astype(np.int64), np.array(pool_of, np.int64), sprites
