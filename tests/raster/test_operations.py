# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser's promises: the reference is right, its gradients are true, and every back end agrees with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from pairwise import pairwise

from scenes import (
    affine_of,
    make_atlas,
    random_goal,
    random_scene,
    relative,
    stacked_scene,
    weight_of,
    with_gradients,
)
from smalti.engine.arrays import AnyArray, Float64Array
from smalti.engine.colour import srgb_from_linear, srgb_slope
from smalti.engine.raster import Scene, build_atlas, draw, drawing, image_loss
from smalti.engine.thread_count import on_threads

MIXES = (0.0, 0.5, 1.0)


def central_difference(scene: Scene[AnyArray], name: str, step: float = 1e-6) -> Float64Array:
    """d sum(weight * reference image) / d scene.name, one number at a time, by central differences in float64."""
    values: Float64Array = getattr(scene, name)
    out = np.empty(values.size)
    for i in range(values.size):
        sides = []
        for sign in (1, -1):
            moved = values.reshape(-1).copy()
            # A map's numbers differ in size by orders of magnitude; so do their steps.
            h = step * max(1.0, abs(float(moved[i])))
            moved[i] += sign * h
            changed: dict[str, Any] = {name: moved.reshape(values.shape)}
            image = draw(replace(scene, **changed), "reference")
            sides.append(float((image * weight_of(scene)).sum()))
        out[i] = (sides[0] - sides[1]) / (2 * h)
    return out.reshape(values.shape)


@pytest.mark.parametrize(
    ("mix", "shade", "lod_bias"),
    [(0.0, 0.0, 0.0), (0.5, 0.0, 2.0), (1.0, 0.0, 0.0), (1.0, 0.0, 2.0), (0.0, 1.0, 0.0), (0.3, 0.6, 2.0)],
)
def test_reference_gradients_are_those_of_central_differences(mix: float, shade: float, lod_bias: float) -> None:
    # 1e-7 of a pixel: small enough that no pixel crosses a texel's border, where the slope jumps.
    scene = random_scene(11, n=8, size=(9, 12), mix=mix, lod_bias=lod_bias, half_size=(1.0, 20.0), shade=shade)
    _, grads = with_gradients(scene, "reference")
    for name, found in zip(("affine", "opacity", "tint"), grads):
        true = central_difference(scene, name)
        if name == "tint" and mix == 1.0:
            assert abs(found).max() == abs(true).max() == 0
        else:
            assert relative(found, true) < 1e-6, name


SCENES: dict[str, tuple[Callable[..., Scene[AnyArray]], dict[str, Any]]] = {
    **{
        f"mixed bag, mix {m}, bias {b}": (random_scene, {"seed": 1, "mix": m, "lod_bias": b})
        for m, b in ((0.0, 0.0), (0.0, 2.0), (0.5, 2.0), (1.0, 0.0))
    },
    "shaded": (random_scene, {"seed": 1, "shade": 1.0, "lod_bias": 1.0}),
    "shaded and mixed": (random_scene, {"seed": 9, "mix": 0.3, "shade": 0.6, "background": False}),
    "shade of what keeps its colors": (random_scene, {"seed": 1, "mix": 1.0, "shade": 0.6}),
    "300 deep": (stacked_scene, {"seed": 2, "mix": 0.5}),
    "below a pixel": (random_scene, {"seed": 3, "n": 80, "half_size": (0.05, 0.8), "lod_bias": 1.0}),
    "larger than the canvas": (random_scene, {"seed": 4, "half_size": (80, 4000), "mix": 0.5}),
    "all opaque": (random_scene, {"seed": 5, "n": 25, "opaque": 1.0, "mix": 0.5}),
    "transparent background": (random_scene, {"seed": 6, "background": False, "mix": 0.5}),
    "one pixel wide": (random_scene, {"seed": 7, "size": (40, 1)}),
    "several tiles": (random_scene, {"seed": 8, "n": 40, "size": (40, 70), "half_size": (3, 40), "mix": 0.3}),
}


@pytest.mark.parametrize("name", SCENES)
def test_cpu_equals_reference(name: str) -> None:
    make, arguments = SCENES[name]
    scene = make(**arguments)
    true, true_grads = with_gradients(scene, "reference")
    found, found_grads = with_gradients(scene, "cpu")
    assert abs(found - true).max() < 2e-5
    for part, f, t in zip(("affine", "opacity", "tint"), found_grads, true_grads):
        assert relative(f, t) < 1e-4, part
        # Each sprite by itself as well: a small one must not hide behind a large one.
        error, size = (np.linalg.norm(rows.reshape(len(t), -1), axis=1) for rows in (f - t, t))
        assert (error <= 1e-3 * size + 1e-5 * size.mean()).all(), part


def test_stop_rule_is_the_same_in_every_back_end_and_changes_little() -> None:
    scene = stacked_scene(21, depth=120, mix=0.5)
    scene = replace(scene, opacity=scene.opacity * 5)
    all_of_it = draw(replace(scene, stop=0.0), "cpu")
    stopped = draw(replace(scene, stop=1e-4), "cpu")
    assert abs(stopped - all_of_it).max() < 2e-4
    assert not np.array_equal(stopped, all_of_it), "the stop rule never fired, so this test shows nothing"
    assert abs(stopped - draw(replace(scene, stop=1e-4), "reference")).max() < 2e-4


def test_result_does_not_depend_on_the_number_of_threads() -> None:
    scene = random_scene(22, n=300, size=(130, 170), mix=0.4, half_size=(2, 40))
    results = []
    for threads in (1, 2, 3, 7):
        with on_threads(threads):
            results.append(with_gradients(replace(scene, stop=1e-4), "cpu"))
    for image, grads in results[1:]:
        np.testing.assert_array_equal(image, results[0][0])
        for found, expected in zip(grads, results[0][1]):
            np.testing.assert_array_equal(found, expected)


def test_sprite_that_is_not_finite_is_not_drawn_and_spoils_nothing() -> None:
    scene = random_scene(23, n=12, mix=0.5)
    clean = replace(
        scene,
        **{name: getattr(scene, name)[3:] for name in ("affine", "opacity", "tint", "template")},
    )
    affine, opacity = scene.affine.copy(), scene.opacity.copy()
    affine[0] = float("nan")
    affine[1] = 0.0
    opacity[2] = float("inf")
    image, grads = with_gradients(replace(scene, affine=affine, opacity=opacity), "cpu")
    true, true_grads = with_gradients(clean, "cpu")
    np.testing.assert_array_equal(image, true)
    for found, expected in zip(grads, true_grads):
        assert (found[:3] == 0).all()
        np.testing.assert_array_equal(found[3:], expected)


def test_an_opaque_sprite_gets_a_gradient_from_what_it_hides() -> None:
    """A red opaque square over a green one, where the target wants green: its opacity must want to fall."""
    affine = affine_of(*np.array([[8.0, 8.0], [8.0, 8.0], [6.0, 6.0], [6.0, 6.0], [0.0, 0.0]]))
    tint = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    atlas = build_atlas([np.ones((8, 8, 4))])
    drawn = drawing(Scene(affine, np.ones(2), tint, np.zeros(2, np.int32), atlas, (16, 16), stop=0.0), "cpu")
    goal = np.zeros((16, 16, 4))
    goal[..., 1] = goal[..., 3] = 1
    by_image = np.zeros((16, 16, 4))
    by_image[4:12, 4:12] = 2 * (drawn.image - goal)[4:12, 4:12]
    by_opacity = drawn.gradients(by_image).opacity
    assert by_opacity[1] > 1
    assert abs(by_opacity[0]) < 1e-6


def test_a_drawing_gives_gradients_any_number_of_times() -> None:
    scene = random_scene(24, n=10, mix=0.5)
    for back_end in ("cpu", "reference"):
        drawn = drawing(scene, back_end)
        np.testing.assert_array_equal(drawn.image, draw(scene, back_end))
        weight = weight_of(scene)
        first, double, again = (drawn.gradients(factor * weight) for factor in (1, 2, 1))
        for name in ("affine", "opacity", "tint"):
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
            np.testing.assert_allclose(getattr(double, name), 2 * getattr(first, name), rtol=1e-6, atol=1e-9)
        with pytest.raises(ValueError, match=r"must have shape \(37, 53, 4\)"):
            drawn.gradients(weight[1:])


BAD_CALLS: dict[str, dict[str, Any]] = {
    "opacity has shape": {"opacity": np.ones(3)},
    "template index": {"template": np.full(40, 99)},
    "empty canvas": {"size": (0, 5)},
    "background": {"background": np.ones((3, 3, 4))},
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_call_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        replace(random_scene(1), **BAD_CALLS[name])


def test_unknown_back_end_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'gpu'"):
        draw(random_scene(1), "gpu")


def test_scenes_hold_what_they_promise() -> None:
    """The parity tests can only show what their scenes contain."""
    scene = random_scene(1)
    alone = [
        draw(
            replace(
                scene,
                affine=scene.affine[k : k + 1],
                opacity=np.ones(1),
                tint=np.ones((1, 3)),
                template=scene.template[k : k + 1],
                background=None,
            ),
            "cpu",
        )[..., 3]
        for k in range(len(scene))
    ]
    covered = np.array([(a > 0).mean() for a in alone])
    assert (covered == 0).any()
    assert (covered > 0.9).any()
    assert ((covered > 0) & (covered < 0.005)).any()
    assert (scene.opacity == 1).any()
    assert len({(w, h) for _, w, h in make_atlas(np.random.default_rng(0)).levels}) > 10


@pytest.mark.parametrize(
    ("kind", "mix", "shade", "background", "as_seen"),
    pairwise(["mse", "l1"], MIXES, [0.0, 0.7], [True, False], [False, True]),
)
def test_fused_loss_equals_the_loss_of_the_picture(
    kind: Literal["mse", "l1"], mix: float, shade: float, background: bool, as_seen: bool
) -> None:
    scene = random_scene(31, n=30, size=(25, 41), mix=mix, background=background, half_size=(2, 30), shade=shade)
    goal = random_goal(25, 41)
    loss, found = image_loss(scene, goal, "cpu", kind=kind, encoded=as_seen)
    true_loss, true = image_loss(scene, goal, "reference", kind=kind, encoded=as_seen)
    drawn = drawing(scene, "cpu")
    shown, slope = drawn.image.astype(np.float64), np.ones(drawn.image.shape)
    if as_seen:
        slope[..., :3], shown[..., :3] = srgb_slope(shown[..., :3]), srgb_from_linear(shown[..., :3])
    # The mean over the three channels of color, with what alpha adds.
    difference = shown - goal
    value = (difference**2 if kind == "mse" else abs(difference)).sum() / (3 * 25 * 41)
    by_image = (2 * difference if kind == "mse" else np.sign(difference)) * slope / (3 * 25 * 41)
    unfused = drawn.gradients(by_image)
    assert float(loss) == pytest.approx(float(true_loss), rel=1e-5)
    assert float(loss) == pytest.approx(value, rel=1e-5)
    for name in ("affine", "opacity", "tint"):
        # Where a difference is nearly 0, rounding decides on the sign that L1 takes.
        close = 1e-4 if kind == "mse" else 1e-2
        assert relative(getattr(found, name), getattr(true, name)) < close
        assert relative(getattr(found, name), getattr(unfused, name)) < close


def test_results_have_the_types_that_are_promised() -> None:
    scene, goal = random_scene(33, n=4, size=(9, 11)), random_goal(9, 11)
    names = ("affine", "opacity", "tint")
    single = replace(scene, **{name: getattr(scene, name).astype(np.float32) for name in names})
    for given, back_end, image, gradients in (
        (scene, "cpu", np.float32, np.float64),
        (single, "cpu", np.float32, np.float64),
        (scene, "reference", np.float64, np.float64),
        (single, "reference", np.float32, np.float32),
    ):
        assert draw(given, back_end).dtype == image
        found = [with_gradients(given, back_end)[1], vars(image_loss(given, goal, back_end)[1]).values()]
        assert {type(array) for arrays in found for array in arrays} == {np.ndarray}
        assert {array.dtype for arrays in found for array in arrays} == {np.dtype(gradients)}


def test_a_loss_that_does_not_fit_is_refused() -> None:
    scene = random_scene(32, n=3)
    with pytest.raises(ValueError, match="mse or l1, not 'l2'"):
        image_loss(scene, random_goal(37, 53), "cpu", kind="l2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the goal must have shape \(37, 53, 4\)"):
        image_loss(scene, random_goal(36, 53), "cpu")


def test_importing_the_engine_and_drawing_does_not_import_torch() -> None:
    code = """
import sys
import numpy as np
from smalti.engine.raster import Scene, build_atlas, drawing
import smalti.engine.api, smalti.engine.job.run, smalti.engine.bench.report, smalti.engine.export.psd
scene = Scene(np.eye(1, 6), np.ones(1), np.ones((1, 3)), np.zeros(1, int), build_atlas([np.ones((2, 2, 4))]), (4, 4))
drawing(scene, "cpu").gradients(np.ones((4, 4, 4)))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
