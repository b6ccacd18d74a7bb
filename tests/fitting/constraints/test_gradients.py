# SPDX-License-Identifier: GPL-3.0-or-later
"""What constraints say of slopes is what central differences say, drawn by the reference in double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from optimisers import SEED, coverage, optimiser, random_bitmaps, settings

from scenes import soft_bitmap
from smalti.engine.arrays import AnyArray, Float64Array
from smalti.engine.fitting.constraints import overflow as module
from smalti.engine.fitting.constraints.overdraw import LayerStatistics, Overdraw, OverdrawSettings
from smalti.engine.fitting.constraints.overflow import Overflow
from smalti.engine.fitting.constraints.visibility import VisibilitySettings
from smalti.engine.fitting.constraints.visible_fraction import FinishedCanvas, reds
from smalti.engine.fitting.strategy.importance import blending_weights_of, candidates_on_canvas
from smalti.engine.raster import Scene, StackPosition, build_atlas, draw
from smalti.engine.sprites import Sprites

SIZE = 41, 57
SHAPES = [(11, 17), (20, 20), (16, 5)]  # height, width


def canvas() -> FinishedCanvas:
    rng = np.random.default_rng(1)
    bitmaps = [soft_bitmap(rng, *shape) for shape in SHAPES]
    shapes = np.array([[width, height] for height, width in SHAPES], np.float64)
    coverage = np.array([bitmap[..., 3].mean() for bitmap in bitmaps])
    return FinishedCanvas(SIZE, partial(build_atlas, bitmaps), shapes, coverage, "reference")


def sprites(n: int = 12) -> Sprites:
    rng = np.random.default_rng(2)
    return Sprites(
        template=rng.integers(0, 3, n).astype(np.int32),
        x=rng.uniform(-5, SIZE[1] + 5, n),
        y=rng.uniform(-5, SIZE[0] + 5, n),
        scale=rng.uniform(3, 15, n),
        aspect=rng.normal(0, 0.2, n),
        theta=rng.uniform(-3, 3, n),
        opacity=rng.uniform(0.2, 0.9, n),
        tint=rng.uniform(0, 1, (n, 3)),
    )


def along(value: Callable[[Float64Array], float], at: Float64Array, direction: Float64Array, step: float) -> float:
    """The slope of a value along a direction, by central differences."""
    return (value(at + step * direction) - value(at - step * direction)) / (2 * step)


def check_by_scene(
    value: Callable[[Scene[AnyArray]], float], scene: Scene[AnyArray], by_affine: Float64Array, by_opacity: Float64Array
) -> None:
    """That these are the gradients of a value of the scene."""
    rng = np.random.default_rng(3)
    for name, gradient in (("affine", by_affine), ("opacity", by_opacity)):
        for _ in range(4):
            at: Float64Array = getattr(scene, name)
            direction = rng.normal(0, 1, at.shape)
            if name == "affine":
                direction[:, [0, 1, 3, 4]] /= max(SIZE)  # on the canvas, as much as an offset
            found = along(lambda moved, name=name: value(replace(scene, **{name: moved})), at, direction, 1e-8)  # type: ignore[misc]
            assert (gradient * direction).sum() == pytest.approx(found, rel=1e-5), name


def test_the_gradient_of_what_sprites_show_alone() -> None:
    finished = canvas()
    scene = finished.scene(sprites())
    weight = np.random.default_rng(4).normal(0, 1, len(scene))
    gradient = weight[:, None] * finished.whole_gradient(scene)
    check_by_scene(lambda moved: float((weight * finished.whole(moved)).sum()), scene, gradient, np.zeros(len(scene)))


@pytest.mark.parametrize(("by_mean", "by_spread"), [(1.0, 0.0), (0.0, 1.0), (0.7, -0.4)])
@pytest.mark.parametrize("covered", [True, False])
def test_the_gradient_of_layers(by_mean: float, by_spread: float, covered: bool) -> None:
    rng = np.random.default_rng(5)
    layers = rng.uniform(0, 3, SIZE)
    cover = np.ones(SIZE) if covered else np.maximum(rng.uniform(-0.5, 1, SIZE), 0)

    def value(at: Float64Array) -> float:
        statistics = LayerStatistics(at, cover)
        return by_mean * statistics.mean + by_spread * statistics.spread

    gradient = LayerStatistics(layers, cover).gradient(by_mean, by_spread)
    assert gradient.shape == SIZE
    for _ in range(3):
        direction = rng.normal(0, 1, SIZE)
        expected = along(value, layers, direction, 1e-4)
        assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_no_layers_and_even_layers_have_a_finite_gradient() -> None:
    for level in (0.0, 2.0):
        gradient = LayerStatistics(np.full(SIZE, level), np.ones(SIZE)).gradient(1.0, 1.0)
        assert np.isfinite(gradient).all()
    assert not LayerStatistics(np.ones(SIZE), np.zeros(SIZE)).gradient(1.0, 1.0).any()


@pytest.mark.parametrize(("most", "even"), [(0.5, 0.0), (None, 0.8), (0.5, 0.8)])
def test_the_gradient_of_overdraw(most: float | None, even: float) -> None:
    finished, chosen = canvas(), OverdrawSettings()
    constraint = Overdraw(most, even, finished, steps=10)
    scene = finished.scene(sprites())
    cover = np.random.default_rng(6).uniform(0, 1, SIZE).astype(np.float32)

    def penalty(moved: Scene[AnyArray]) -> float:
        statistics = LayerStatistics(constraint.layers(moved), cover)
        excess = 0.0 if most is None else max(statistics.mean / most - 1, 0.0)
        return chosen.too_many * excess**2 + chosen.uneven * even * statistics.spread**2

    assert penalty(scene) > 0
    by_affine, by_opacity, memory = constraint.penalty_gradient(scene, cover, None)
    assert memory.shape == (len(scene),)
    check_by_scene(penalty, scene, by_affine, by_opacity)


def test_the_gradient_that_pulls_sprites_into_view() -> None:
    """Of the sprites' areas in the proportions in which they are visible, less what of them is visible."""
    fitting = optimiser(True, settings(back_end="reference"), min_visibility=0.4)
    scene, chosen = fitting.scene(), VisibilitySettings()
    assert fitting.constraints is not None
    cover = fitting.objective.canvas.target[..., 3]
    memory = np.random.default_rng(7).uniform(0, 0.5, (len(scene), 1))
    by_affine, by_opacity, after = fitting.constraints.penalty_gradient(scene, cover, memory)
    pull = 2 * chosen.weight * memory[:, 0] / (scene.size[0] * scene.size[1])
    shown = blending_weights_of(scene, "reference")

    def determinant(of: Scene[AnyArray]) -> Float64Array:
        return np.asarray(of.affine[:, 0] * of.affine[:, 4] - of.affine[:, 1] * of.affine[:, 3])

    def value(moved: Scene[AnyArray]) -> float:
        area = shown * np.abs(determinant(scene) / determinant(moved))
        visible = draw(replace(moved, tint=reds(pull), mix=0.0), "reference")[..., 0].sum()
        return float((pull * area).sum() - visible)

    check_by_scene(value, scene, by_affine, by_opacity)
    assert after.shape == (len(scene), 1)
    assert (after >= 0).all()
    assert (after > 0).any()


def test_the_gradient_of_what_is_drawn_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = canvas()
    inside = np.zeros((2 * SIZE[0], 2 * SIZE[1]), bool)
    inside[20:70, 15:80] = True
    overflow = Overflow(inside, finished.atlas_of, finished.shapes)
    placed = sprites()
    atlases = overflow.atlases(placed)
    amount, found = overflow.amount(placed, atlases)
    assert amount.max() > 10
    monkeypatch.setattr(module, "FINISHED_BACK_END", "reference")
    true_amount, true = overflow.amount(placed, atlases)
    np.testing.assert_allclose(amount, true_amount, rtol=1e-4, atol=1e-4)
    step = 1e-6
    for name in ("x", "y", "theta"):
        assert np.linalg.norm(found[name] - true[name]) < 1e-3 * np.linalg.norm(true[name])
        above, below = (
            overflow.amount(replace(placed, **{name: getattr(placed, name) + sign * step}), atlases)[0]
            for sign in (1, -1)
        )
        # The negligible opacity at which it is measured is not quite 0.
        np.testing.assert_allclose(true[name], (above - below) / (2 * step), rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("position", StackPosition)
def test_what_a_candidate_is_charged(position: StackPosition) -> None:
    """For what it lacks itself exactly, for what it hides of others in proportion to how much these are pulled."""
    fitting = optimiser(True, settings(back_end="reference"), min_visibility=0.2, preferred_visibility=0.8)
    now, scene, rng = fitting.sprites(), fitting.scene(), np.random.default_rng(5)
    count, chosen, pixels = len(now), VisibilitySettings(), scene.size[0] * scene.size[1]
    replaces = rng.integers(0, count, 2)
    old = now.take(replaces)
    offered = replace(old, x=old.x + rng.normal(0, 5, 2), scale=1.2 * old.scale, opacity=rng.uniform(0.3, 0.9, 2))
    candidates = candidates_on_canvas(fitting, offered, replaces, np.full(2, position))
    assert fitting.constraints is not None
    found = np.asarray(fitting.constraints.candidate_costs(fitting, candidates, offered.opacity))
    areas = coverage(random_bitmaps(np.random.default_rng(SEED)))
    finished = FinishedCanvas(fitting.size, lambda _: scene.atlas, fitting.shapes, areas, "reference")

    def lacking(fraction: Float64Array, power: int) -> Float64Array:
        required, preferred = np.maximum([1.25 * 0.2 - fraction, 0.8 - fraction], 0) ** power
        return np.asarray(chosen.weight * required + chosen.preferred_weight * preferred) / pixels

    visible, whole = finished.visible(now)
    pull = 2 * lacking(visible / whole, 1)
    for j, k in enumerate(replaces):
        others = np.delete(np.arange(count), k)
        order = {
            StackPosition.IN_PLACE: np.arange(count),
            StackPosition.TOP: np.append(others, k),
            StackPosition.BOTTOM: np.append(k, others),
        }[position]
        then, whole_then = np.empty(count), np.empty(count)
        then[order], whole_then[order] = finished.visible(
            now.put(np.array([k]), offered.take(np.array([j]))).take(order)
        )
        own = whole[k] * (lacking(then / whole_then, 2) - lacking(visible / whole, 2))[k]
        hidden = (pull * (visible - then))[others].sum()
        assert found[j] == pytest.approx(own + hidden, rel=0.01, abs=1e-7)


def test_without_a_preferred_visibility_candidates_are_judged_by_the_error_alone() -> None:
    fitting = optimiser(True, settings(), min_visibility=0.4)
    now, one = fitting.sprites(), np.array([3])
    candidates = candidates_on_canvas(fitting, now.take(one), one, np.array([StackPosition.TOP]))
    assert fitting.constraints is not None
    assert not np.any(fitting.constraints.candidate_costs(fitting, candidates, np.ones(1)))
