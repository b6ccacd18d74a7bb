# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves as few straight lines: which of their frames become keys, and what values these get. Only NumPy.

Keys are put where a curve is farthest from its lines, until it is nowhere farther than it may be; those that are not
needed any more are taken away. Each time the values of all keys are fitted to all frames at once, by least squares.
Thousands of curves are reduced together: arrays are [S, F], for S curves and F frames, float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FAINT = 1e-4  # the least weight of a frame, of that of the others
_CLOSE = 1.0 + 1e-9  # how far a line may be off, of what is allowed
_ROUGH = 1.5  # the same of lines that are not fitted, which are made first, as they take less time
_ROUNDS = (0, 1, 0)
"""In which keys are taken away: of each curve the first, third and so on are tried, or the others."""


def held(values: Any, weight: Any) -> tuple[Any, Any]:
    """Curves that may as well stand still.

    Args:
        values: [S, F].
        weight: [S, F], one over the distance that is allowed.

    Returns:
        bool [S], which they are; and [S] the value that is best for each.
    """
    allowed = 1 / np.maximum(weight, 1e-12)
    least, most = (values - allowed).max(1), (values + allowed).min(1)
    mean = (values * weight**2).sum(1) / (weight**2).sum(1)
    return least <= most, np.clip(mean, least, np.maximum(least, most))


def fit(values: Any, weight: Any) -> tuple[Any, Any]:
    """Lines through all frames that are nowhere farther from the values than is allowed.

    Args:
        values: [S, F], two frames or more.
        weight: [S, F], one over the distance that is allowed.

    Returns:
        bool [S, F], the frames of keys, first and last among them; and [S, F], the lines.
    """
    kept = np.zeros(values.shape, bool)
    kept[:, [0, -1]] = True
    lines = np.empty_like(values)
    for lines_of, most in ((_through, _ROUGH), (_fitted, _CLOSE)):
        left = np.arange(len(values))
        while len(left):
            own, importance, ways = values[left], weight[left], _Ways(kept[left])
            found = lines_of(own, importance, ways)
            off = np.abs(own - found) * importance
            wrong = off.max(1) > most
            lines[left] = found
            if wrong.any():
                kept[left] = _with_farthest(ways, off, most)
            left = left[wrong]
    for parity in _ROUNDS:
        _remove_some(values, weight, kept, lines, parity)
    return kept, lines


class _Ways:
    """Where each frame is between two keys, all curves one after another.

    Attributes:
        kept: bool [S, F].
        starts: [K] the places of keys.
        before: [S F] the key before each frame.
        after: the next one. The last key of a curve is alone: what follows is the next curve's.
        share: how far it is on the way.
    """

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        flat = kept.ravel()
        self.starts = np.flatnonzero(flat)
        lengths = np.diff(self.starts, append=len(flat))
        keys = np.arange(len(self.starts), dtype=np.int32)
        self.before = np.repeat(keys, lengths)
        self.after = np.minimum(keys + 1, keys[-1])[self.before]
        self.share = (np.arange(len(flat)) - self.starts[self.before]) * (1 / lengths)[self.before]

    def lines(self, at_keys: Any) -> Any:
        """[S, F], the straight lines between keys with the values [K]."""
        first = at_keys[self.before]
        return (first + self.share * (at_keys[self.after] - first)).reshape(self.kept.shape)

    def sums(self, values: Any) -> Any:
        """[K], sums over the frames from each key up to the next."""
        return np.add.reduceat(values, self.starts)

    def most(self, values: Any) -> Any:
        """[K], the largest from each key up to the next."""
        return np.maximum.reduceat(values.ravel(), self.starts)


def _with_farthest(ways: _Ways, off: Any, most: float) -> Any:
    """One key more between any two where lines are `off` by more than `most`, there where they are farthest."""
    kept = ways.kept
    # Where a key is itself off, one beside it helps.
    wrong = np.where(kept & (off > most), off, 0)
    np.maximum(off[:, 1:], wrong[:, :-1], out=off[:, 1:])
    np.maximum(off[:, :-1], wrong[:, 1:], out=off[:, :-1])
    off[kept] = 0
    flat = off.ravel()
    far = np.flatnonzero(flat > most)
    segment = ways.before[far]
    farthest = far[flat[far] == ways.most(off)[segment]]
    _, one_each = np.unique(ways.before[farthest], return_index=True)
    result = kept.copy()
    result.ravel()[farthest[one_each]] = True
    return result


def _remove_some(values: Any, weight: Any, kept: Any, lines: Any, parity: int) -> None:
    """Take keys away, of two neighbors one at most, where lines stay close enough without them; in place."""
    fewer = kept & (kept.cumsum(1) % 2 == parity)
    fewer[:, [0, -1]] = True
    ways = _Ways(fewer)
    bridged = ways.lines(lines.ravel()[ways.starts])
    off = np.abs(values - bridged) * weight
    off[fewer] = 0
    needed = (ways.most(off) > 1)[ways.before].reshape(kept.shape)
    fewer |= kept & needed
    tried = np.flatnonzero((fewer != kept).any(1))
    if not len(tried):
        return
    own, importance = values[tried], weight[tried]
    found = _fitted(own, importance, _Ways(fewer[tried]))
    # The fit is better in all, and may be too far off in one frame.
    far = (np.abs(own - found) * importance).max(1) > _CLOSE
    found[far] = np.where(needed, lines, bridged)[tried[far]]
    kept[tried], lines[tried] = fewer[tried], found


def _through(values: Any, weight: Any, ways: _Ways) -> Any:
    """[S, F], the lines between the values at keys."""
    return ways.lines(values.ravel()[ways.starts])


def _fitted(values: Any, weight: Any, ways: _Ways) -> Any:
    """[S, F], the lines between keys that are closest to the values, and stay within their range."""
    importance = (weight / weight.max(1, keepdims=True)) ** 2
    there = np.maximum(importance, _FAINT).ravel()
    # Each frame pulls at the keys on both sides.
    here = there * (1 - ways.share)
    there = there - here
    both = here * ways.share
    flat = values.ravel()
    diagonal, right = ways.sums(here - both), ways.sums(here * flat)
    diagonal[1:] += ways.sums(there - both)[:-1]
    right[1:] += ways.sums(there * flat)[:-1]
    at_keys = _solved(diagonal, ways.sums(both), right, ways.kept.sum(1))
    curve = ways.starts // values.shape[1]
    np.clip(at_keys, values.min(1)[curve], values.max(1)[curve], out=at_keys)
    return ways.lines(at_keys)


def _solved(diagonal: Any, beside: Any, right: Any, counts: Any) -> Any:
    """[K], the solution of symmetric tridiagonal systems, one after another.

    Args:
        diagonal: [K].
        beside: [K], from each unknown to the next; 0 for the last of a system.
        right: [K].
        counts: [S] the unknowns of each system, K in all.
    """
    most = int(counts.max())
    row = np.repeat(np.arange(len(counts)), counts)
    column = np.arange(len(row)) - np.repeat(counts.cumsum() - counts, counts)
    # Unknowns first, so that a step of the elimination is done for all systems on what lies together.
    d, u, b = np.ones((most, len(counts))), np.zeros((most, len(counts))), np.zeros((most, len(counts)))
    d[column, row], u[column, row], b[column, row] = diagonal, beside, right
    for k in range(1, most):
        factor = u[k - 1] / d[k - 1]
        d[k] -= factor * u[k - 1]
        b[k] -= factor * b[k - 1]
    b[-1] /= d[-1]
    for k in range(most - 2, -1, -1):
        b[k] = (b[k] - u[k] * b[k + 1]) / d[k]
    return b[column, row]
