# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairwise combinations: every pair is there, and rows are few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import pytest
from pairwise import pairwise


@pytest.mark.parametrize(
    ("axes", "rows"),
    [
        ([[1, 2], [3, 4]], 4),
        ([[0.0, 0.5, 1.0], ["srgb", "linear"], ["balanced", "published"], [None, {}, []]], 9),
        ([list("abcde"), list("fgh"), list("ij"), list("kl")], 15),
        ([[0, 1]] * 10, 8),
    ],
)
def test_every_two_values_meet_in_few_rows(axes: Sequence[Sequence[Any]], rows: int) -> None:
    chosen = pairwise(*axes)
    for i, j in combinations(range(len(axes)), 2):
        met = [(row[i], row[j]) for row in chosen]
        assert all(pair in met for pair in product(axes[i], axes[j]))
    assert len(chosen) <= rows
    assert pairwise(*axes) == chosen


@pytest.mark.parametrize("axes", [[], [[1, 2]], [[1, 2], []]])
def test_fewer_than_two_axes_or_an_empty_one_are_refused(axes: Sequence[Sequence[int]]) -> None:
    with pytest.raises(ValueError, match="at least two axes"):
        pairwise(*axes)
