# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of templates: what they compare, and whom they find."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from smalti.engine.arrays import Float32Array
from smalti.engine.fitting.initialise.signatures import Signatures, SignatureSettings

K = SignatureSettings().side


def some_cells(count: int) -> Float32Array:
    rng = np.random.default_rng(0)
    cells = rng.uniform(0, 1, (count, K, K, 4)).astype(np.float32)
    cells[..., :3] *= cells[..., 3:]
    return cells


def best_cost(cells: Float32Array, place: Float32Array, mix: float) -> float:
    """The least mean error of a template over a place, with the best tint on a fine grid."""
    flat = cells.reshape(-1, 4).astype(np.float64)
    alpha, own = flat[:, 3], flat[:, :3] / flat[:, 3:]
    tints = np.linspace(0, 1, 101)
    total = 0.0
    for channel in range(3):
        shown = mix * own[:, channel, None] + (1 - mix) * tints
        total += (alpha[:, None] * (place[:, channel, None] - shown) ** 2).sum(axis=0).min()
    return total / float(alpha.sum())


@pytest.mark.parametrize("mix", [0.0, 0.3, 0.5, 1.0])
def test_the_template_that_is_found_is_the_best_with_its_best_tint(mix: float) -> None:
    cells = some_cells(900)
    places = np.random.default_rng(1).uniform(0, 1, (8, K * K, 3)).astype(np.float32)
    found = Signatures(cells, mix).nearest(places, range(100, 900), 1, np.random.default_rng(2))
    for place, template in zip(places, found.tolist(), strict=True):
        costs = [best_cost(each, place, mix) for each in cells[100:]]
        # Templates that are all but equally good take turns.
        assert costs[template - 100] < min(costs) + 2e-4


def test_a_place_finds_the_template_that_it_is_made_of_among_the_nearest() -> None:
    cells = some_cells(50)
    cells[..., :3] /= cells[..., 3:]
    cells[..., 3] = 1
    places = cells[..., :3].reshape(50, K * K, 3)
    found = Signatures(cells, 1.0).nearest(places, range(50), 1, np.random.default_rng(0))
    assert found.tolist() == list(range(50))
    several = np.array(
        [Signatures(cells, 1.0).nearest(places, range(50), 5, np.random.default_rng(seed)) for seed in range(40)]
    )
    assert all(len(set(column)) == 5 for column in several.T)


@pytest.mark.parametrize("mix", [0.0, 0.6])
def test_slivers_are_found_last(mix: float) -> None:
    """A template of one cell would suit most places best: nothing differs within it."""
    cells = some_cells(40)
    cells[:20] = 0
    cells[:20, 0, 0] = (0.5, 0.5, 0.5, 1)
    cells[20:, ..., 3] = 1
    places = np.random.default_rng(1).uniform(0, 1, (300, K * K, 3)).astype(np.float32)
    found = Signatures(cells, mix).nearest(places, range(40), 20, np.random.default_rng(2))
    assert found.min() == 20
    alike = Signatures(cells[:20], mix).nearest(places, range(20), 5, np.random.default_rng(2))
    assert len(set(alike.tolist())) == 5


def test_cells_are_those_of_the_square_about_a_template() -> None:
    bitmap = np.zeros((2 * K, 4 * K, 4), np.float32)
    bitmap[:] = (0.25, 0.5, 0.75, 1)
    cells = Signatures.cells_of(bitmap)
    assert_allclose(cells[: K // 4], 0, atol=1e-7)
    assert_allclose(cells[K // 4 : 3 * K // 4], np.broadcast_to(bitmap[0, 0], (K // 2, K, 4)), atol=1e-6)
    offsets = Signatures(some_cells(3), 0.5).offsets().reshape(K, K, 2)
    assert_allclose(offsets[0, 0], (1 / K - 1, 1 / K - 1))
    assert offsets[0, 1, 0] > offsets[0, 0, 0]
    assert offsets[0, 1, 1] == offsets[0, 0, 1]


def test_no_places_find_no_templates() -> None:
    signatures = Signatures(some_cells(9), 0.5)
    nothing = signatures.nearest(np.zeros((0, K * K, 3), np.float32), range(9), 4, np.random.default_rng(0))
    assert nothing.shape == (0,)
