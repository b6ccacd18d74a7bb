# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations of test parameters: not all of them, but every pair of values at least once.

Most faults that depend on a combination need no more than two values, and the number of rows grows with the product of
the two longest lists instead of that of all lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import Any

Place = tuple[int, int]
"""Index of an axis, and of one of its values."""
CANDIDATES = 10
"""Rows that are tried for each row that is taken."""


def pairwise(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows with one value of each axis, such that every two values of different axes occur together in some row.

    The rows are the same in every run. Values are never compared, so they may be anything:

        @pytest.mark.parametrize(("mix", "space", "preset"), pairwise([0.0, 0.5, 1.0], ["srgb", "linear"], PRESETS))

    Raises:
        ValueError: there are fewer than two axes, or one is empty.
    """
    if len(axes) < 2 or not all(axes):
        raise ValueError("pairwise combinations need at least two axes, and none of them may be empty")
    places = [(axis, index) for axis, values in enumerate(axes) for index in range(len(values))]
    # A dict, since the order of a set is not the same in every run.
    missing = dict.fromkeys(pair for pair in combinations(places, 2) if pair[0][0] != pair[1][0])
    rng = Random(0)
    rows = []
    while missing:
        row = max((_candidate(axes, missing, rng) for _ in range(CANDIDATES)), key=lambda row: _covers(row, missing))
        for pair in combinations(row, 2):
            missing.pop(pair, None)
        rows.append(tuple(axes[axis][index] for axis, index in row))
    return rows


def _candidate(axes: Sequence[Sequence[Any]], missing: dict[tuple[Place, Place], None], rng: Random) -> list[Place]:
    """A row with the first missing pair: on each other axis, in random order, the value that adds the most of them."""
    row = list(next(iter(missing)))
    others = [axis for axis in range(len(axes)) if axis not in (row[0][0], row[1][0])]
    for axis in rng.sample(others, len(others)):
        values = [(axis, index) for index in rng.sample(range(len(axes[axis])), len(axes[axis]))]
        row.append(max(values, key=lambda place: sum(tuple(sorted((place, p))) in missing for p in row)))
    return sorted(row)


def _covers(row: list[Place], missing: dict[tuple[Place, Place], None]) -> int:
    return sum(pair in missing for pair in combinations(row, 2))
