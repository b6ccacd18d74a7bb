# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam's moments: they follow their sprites, are reset with them, and are kept in checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.fitting.moments import Moments


def filled() -> Moments:
    """Of four sprites, with a number of its own in every place, after two steps."""
    moments = Moments({"a": np.zeros(4), "b": np.ones((4, 3))}, (0.8, 0.95))
    for kind, arrays in enumerate((moments.mean, moments.square)):
        for name, values in arrays.items():
            values[...] = 100 * kind + (10 if name == "b" else 0) + np.arange(values.size).reshape(values.shape)
    moments.begin_step()
    moments.begin_step()
    return moments


def test_they_begin_at_0_with_the_shapes_of_the_parameters() -> None:
    moments = Moments({"a": np.ones(4), "b": np.ones((4, 3))}, (0.8, 0.95))
    for arrays in (moments.mean, moments.square):
        assert {name: values.shape for name, values in arrays.items()} == {"a": (4,), "b": (4, 3)}
        assert not any(values.any() for values in arrays.values())


def test_a_step_has_its_bias_corrections() -> None:
    moments = Moments({}, (0.8, 0.95))
    for step in (1, 2, 3):
        assert moments.begin_step() == pytest.approx((0.8, 0.95, 1 - 0.8**step, 1 - 0.95**step))


def test_they_follow_their_sprites() -> None:
    moments, before = filled(), filled()
    order = np.array([2, 0, 3, 1])
    moments.reorder(order)
    for name in ("a", "b"):
        np.testing.assert_array_equal(moments.mean[name], before.mean[name][order])
        np.testing.assert_array_equal(moments.square[name], before.square[name][order])


def test_a_reset_sprite_has_no_momentum_and_the_mean_slope_of_all() -> None:
    moments, before = filled(), filled()
    which = np.array([1, 3])
    moments.reset(which)
    for name in ("a", "b"):
        assert not moments.mean[name][which].any()
        np.testing.assert_array_equal(moments.square[name][which], [before.square[name].mean(axis=0)] * 2)
        for kept in (0, 2):
            np.testing.assert_array_equal(moments.mean[name][kept], before.mean[name][kept])
            np.testing.assert_array_equal(moments.square[name][kept], before.square[name][kept])


def test_what_is_restored_is_what_was_kept() -> None:
    moments = filled()
    state = moments.state()
    moments.reset(np.arange(4))
    moments.begin_step()
    assert state["mean.a"].any(), "what is kept must be a copy"
    moments.restore(state)
    again = moments.state()
    assert sorted(again) == sorted(state) == ["mean.a", "mean.b", "square.a", "square.b", "steps"]
    for name, values in state.items():
        np.testing.assert_array_equal(again[name], values)
    assert moments.begin_step() == filled().begin_step()


def test_restoring_changes_the_arrays_in_place() -> None:
    """Kernels keep them from step to step."""
    moments = filled()
    mean = moments.mean["a"]
    state = moments.state()
    mean[:] = 0
    moments.restore(state)
    assert moments.mean["a"] is mean
    np.testing.assert_array_equal(mean, state["mean.a"])


def test_a_state_that_does_not_fit_is_refused() -> None:
    state = filled().state()
    with pytest.raises(KeyError):
        filled().restore({name: values for name, values in state.items() if name != "mean.b"})
    with pytest.raises(ValueError, match=r"square\.b has shape \(3, 3\), not \(4, 3\)"):
        filled().restore({**state, "square.b": np.ones((3, 3))})
