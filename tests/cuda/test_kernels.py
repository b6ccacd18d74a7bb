# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels, run on the host, say what the reference says; the same bits whatever the order of their threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from cuda_host import HostGpu
from pairwise import pairwise

from scenes import random_candidates, random_goal, random_scene, stacked_scene, with_gradients
from smalti.bridge.errors import SmaltiError
from smalti.engine.arrays import AnyArray
from smalti.engine.cuda.launcher import Kernels
from smalti.engine.raster import Scene, draw, evaluate_candidates, image_loss, removal_errors

pytestmark = pytest.mark.usefixtures("gpu")


def relative(found: AnyArray, true: AnyArray) -> float:
    return float(np.linalg.norm(found - true)) / max(float(np.linalg.norm(true)), 1e-12)


SCENES: dict[str, tuple[Callable[..., Scene[AnyArray]], dict[str, Any]]] = {
    **{
        f"mixed bag, mix {mix}, bias {bias}": (random_scene, {"seed": 1, "mix": mix, "lod_bias": bias})
        for mix, bias in ((0.0, 0.0), (0.0, 2.0), (0.5, 2.0), (1.0, 0.0))
    },
    **{
        f"shaded {shade}, mix {mix}, bias {bias}": (
            random_scene,
            {"seed": 1, "mix": mix, "lod_bias": bias, "shade": shade},
        )
        for shade, mix, bias in ((1.0, 0.0, 0.0), (1.0, 0.0, 2.0), (0.6, 0.3, 2.0), (0.6, 1.0, 0.0))
    },
    "shaded, transparent": (random_scene, {"seed": 2, "mix": 0.3, "shade": 1.0, "background": False}),
    "transparent": (random_scene, {"seed": 2, "mix": 0.3, "background": False}),
    "one tile": (random_scene, {"seed": 3, "size": (7, 9)}),
    "larger than the canvas": (random_scene, {"seed": 4, "size": (40, 40), "half_size": (60.0, 90.0)}),
    "stacked": (stacked_scene, {"seed": 5, "depth": 150}),
    "stacked bitmaps": (stacked_scene, {"seed": 6, "depth": 150, "mix": 0.7}),
    "stacked in shade": (stacked_scene, {"seed": 6, "depth": 150, "mix": 0.2, "shade": 0.8}),
}


@pytest.mark.parametrize(
    ("name", "stop"), [*((name, 1e-4) for name in SCENES), ("stacked", 0.0), ("stacked in shade", 0.0)]
)
def test_kernels_agree_with_the_reference(name: str, stop: float) -> None:
    make, arguments = SCENES[name]
    scene = make(**arguments)
    image, grads = with_gradients(replace(scene, stop=stop), "cuda")
    true, true_grads = with_gradients(replace(scene, stop=stop), "reference")
    assert np.abs(image - true).max() < 1e-4
    for found, expected in zip(grads, true_grads):
        assert relative(found, expected) < 1e-3 or np.abs(expected).max() == np.abs(found).max() == 0


@pytest.mark.parametrize("shade", [0.0, 0.8])
def test_the_order_of_threads_changes_nothing(gpu: HostGpu, shade: float) -> None:
    scene = random_scene(7, n=60, mix=0.4, half_size=(2.0, 40.0), shade=shade)
    results = []
    for seed in range(4):
        gpu.order(seed)
        image, grads = with_gradients(replace(scene, stop=1e-4), "cuda")
        results.append((image, *grads))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_a_canvas_without_sprites_is_its_background() -> None:
    scene = random_scene(8, n=0)
    image, _ = with_gradients(scene, "cuda")
    assert scene.background is not None
    assert np.array_equal(image, scene.background)


@pytest.mark.parametrize("shade", [0.0, 1.0])
def test_a_sprite_that_is_not_finite_is_not_drawn_and_spoils_nothing(shade: float) -> None:
    scene = random_scene(23, n=12, mix=0.5, shade=shade)
    affine, opacity = scene.affine.copy(), scene.opacity.copy()
    affine[0] = float("nan")
    affine[1] = 0.0
    opacity[2] = float("inf")
    broken, grads = with_gradients(replace(scene, affine=affine, opacity=opacity), "cuda")
    names = ("affine", "opacity", "tint", "template")
    clean, clean_grads = with_gradients(replace(scene, **{n: getattr(scene, n)[3:] for n in names}), "cuda")
    assert np.array_equal(broken, clean)
    for found, expected in zip(grads, clean_grads):
        assert (found[:3] == 0).all()
        assert np.array_equal(found[3:], expected)


def test_a_tile_may_hold_more_sprites_than_are_brought_or_ordered_at_once() -> None:
    """Over 512 pairs in a tile, some of them behind what stops the light."""
    scene = random_scene(9, n=700, size=(16, 16), half_size=(10.0, 30.0))
    image, grads = with_gradients(replace(scene, stop=1e-4), "cuda")
    true, true_grads = with_gradients(replace(scene, stop=1e-4), "cpu")
    assert np.abs(image - true).max() < 1e-4
    for found, expected in zip(grads, true_grads):
        assert relative(found, expected) < 1e-3


@pytest.mark.parametrize(
    ("kind", "encoded", "mix", "shade"), pairwise(["mse", "l1"], [False, True], [0.0, 0.5], [0.0, 0.7])
)
def test_the_loss_and_its_gradient_agree_with_the_cpu(
    kind: Literal["mse", "l1"], encoded: bool, mix: float, shade: float
) -> None:
    scene = replace(random_scene(31, n=40, size=(35, 41), mix=mix, half_size=(2, 20), shade=shade), stop=1e-4)
    goal = random_goal(*scene.size)
    (loss, grads), (true, true_grads) = (
        image_loss(scene, goal, back_end, kind=kind, encoded=encoded) for back_end in ("cuda", "cpu")
    )
    assert float(loss) == pytest.approx(float(true), rel=1e-5)
    for name in ("affine", "opacity", "tint"):
        # Where a difference is nearly 0, rounding decides on the sign that L1 takes.
        assert relative(getattr(grads, name), getattr(true_grads, name)) < (1e-3 if kind == "mse" else 2e-2)


@pytest.mark.parametrize(("mix", "shade"), [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (0.3, 0.6)])
def test_removal_errors_agree_with_the_reference(mix: float, shade: float) -> None:
    scene = random_scene(41, n=12, size=(21, 35), mix=mix, half_size=(2, 20), shade=shade)
    goal = random_goal(*scene.size, 1)
    found, true = (removal_errors(scene, goal, back_end) for back_end in ("cuda", "reference"))
    assert np.abs(found - true).max() < 1e-4 * np.abs(true).max() + 1e-8


@pytest.mark.parametrize(
    ("mix", "shade", "background"),
    [(0.0, 0.0, True), (0.5, 0.0, False), (1.0, 0.0, True), (0.0, 1.0, True), (0.3, 0.6, False), (1.0, 0.6, True)],
)
def test_candidates_agree_with_the_cpu(mix: float, shade: float, background: bool) -> None:
    scene = random_scene(43, n=20, size=(35, 50), mix=mix, half_size=(2, 30), background=background, shade=shade)
    goal = random_goal(*scene.size, 1)
    candidates = random_candidates(44, scene, 40)
    for stop in (0.0, 1e-4, 0.2):
        found, true = (
            evaluate_candidates(replace(scene, stop=stop), goal, candidates, name) for name in ("cuda", "cpu")
        )
        off = np.abs(found.removal_errors - true.removal_errors).max()
        assert off < 1e-4 * np.abs(true.removal_errors).max() + 1e-8
        for column, expected in zip(found.coefficients.T, true.coefficients.T):
            assert np.abs(column - expected).max() < 1e-4 * np.abs(expected).max() + 1e-8


@pytest.mark.parametrize("off", [-1, 1])
def test_pairs_that_were_not_counted_are_not_written(off: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the passes that count and list came to different tiles: nothing is drawn, and nothing else overwritten."""
    launch = Kernels.launch

    def counted_otherwise(kernels: Kernels, name: str, *arguments: Any, **more: Any) -> None:
        if name == "scan_pairs":
            for counts, place in ((arguments[3], 20), (arguments[6], 6)):
                changed = counts.numpy()
                changed[place] += off
                counts.copy_from(changed)
        launch(kernels, name, *arguments, **more)

    monkeypatch.setattr(Kernels, "launch", counted_otherwise)
    with pytest.raises(SmaltiError, match="listed other pairs of sprite and tile than it had counted") as caught:
        draw(random_scene(1), "cuda")
    assert caught.value.code == "cuda_fault"
