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
import torch
from pairwise import pairwise
from torch import Tensor

from scenes import (
    affine_of,
    make_atlas,
    random_candidates,
    random_scene,
    stacked_scene,
    weight_of,
    with_gradients,
)
from smalti.engine.arrays import AnyArray
from smalti.engine.colour import encoded
from smalti.engine.raster import (
    Candidates,
    Scene,
    build_atlas,
    composite,
    draw,
    evaluate_candidates,
    image_loss,
    removal_errors,
)

MIXES = (0.0, 0.5, 1.0)


def relative(found: Tensor, true: Tensor) -> float:
    return float((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12))


def central_difference(scene: Scene[Tensor], name: str, step: float = 1e-6) -> Tensor:
    """d sum(weight * reference image) / d scene.name, one number at a time, by central differences in float64."""
    values: Tensor = getattr(scene, name)
    out = torch.empty_like(values).reshape(-1)
    for i in range(values.numel()):
        sides = []
        for sign in (1, -1):
            moved = values.clone().reshape(-1)
            # A map's numbers differ in size by orders of magnitude; so do their steps.
            h = step * max(1.0, abs(float(moved[i])))
            moved[i] += sign * h
            changed: dict[str, Any] = {name: moved.reshape(values.shape)}
            image = draw(replace(scene, **changed), "reference")
            sides.append(float((image * weight_of(scene)).sum()))
        out[i] = (sides[0] - sides[1]) / (2 * h)
    return out.reshape(values.shape)


@pytest.mark.parametrize(("mix", "lod_bias"), [(0.0, 0.0), (0.5, 2.0), (1.0, 0.0), (1.0, 2.0)])
def test_reference_gradients_are_those_of_central_differences(mix: float, lod_bias: float) -> None:
    # 1e-7 of a pixel: small enough that no pixel crosses a texel's border, where the slope jumps.
    scene = random_scene(11, n=8, size=(9, 12), mix=mix, lod_bias=lod_bias, half_size=(1.0, 20.0))
    _, grads = with_gradients(scene, "reference")
    for name, found in zip(("affine", "opacity", "tint"), grads):
        true = central_difference(scene, name)
        if name == "tint" and mix == 1.0:
            assert found.abs().max() == true.abs().max() == 0
        else:
            assert relative(found, true) < 1e-6, name


SCENES: dict[str, tuple[Callable[..., Scene[Tensor]], dict[str, Any]]] = {
    **{
        f"mixed bag, mix {m}, bias {b}": (random_scene, {"seed": 1, "mix": m, "lod_bias": b})
        for m, b in ((0.0, 0.0), (0.0, 2.0), (0.5, 2.0), (1.0, 0.0))
    },
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
    assert (found.double() - true).abs().max() < 2e-5
    for part, f, t in zip(("affine", "opacity", "tint"), found_grads, true_grads):
        assert relative(f, t) < 1e-4, part
        # Each sprite by itself as well: a small one must not hide behind a large one.
        error, size = (f - t).reshape(len(t), -1).norm(dim=1), t.reshape(len(t), -1).norm(dim=1)
        assert (error <= 1e-3 * size + 1e-5 * size.mean()).all(), part


def test_stop_rule_is_the_same_in_every_back_end_and_changes_little() -> None:
    scene = stacked_scene(21, depth=120, mix=0.5)
    scene = replace(scene, opacity=scene.opacity * 5)
    all_of_it = draw(replace(scene, stop=0.0), "cpu")
    stopped = draw(replace(scene, stop=1e-4), "cpu")
    assert (stopped - all_of_it).abs().max() < 2e-4
    assert not torch.equal(stopped, all_of_it), "the stop rule never fired, so this test shows nothing"
    assert (stopped.double() - draw(replace(scene, stop=1e-4), "reference")).abs().max() < 2e-4


def test_result_does_not_depend_on_the_number_of_threads() -> None:
    scene = random_scene(22, n=300, size=(130, 170), mix=0.4, half_size=(2, 40))
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            results.append(with_gradients(replace(scene, stop=1e-4), "cpu"))
    finally:
        torch.set_num_threads(before)
    for image, grads in results[1:]:
        assert torch.equal(image, results[0][0])
        assert all(torch.equal(a, b) for a, b in zip(grads, results[0][1]))


def test_sprite_that_is_not_finite_is_not_drawn_and_spoils_nothing() -> None:
    scene = random_scene(23, n=12, mix=0.5)
    clean = replace(
        scene,
        **{name: getattr(scene, name)[3:] for name in ("affine", "opacity", "tint", "template")},
    )
    affine, opacity = scene.affine.clone(), scene.opacity.clone()
    affine[0] = float("nan")
    affine[1] = 0.0
    opacity[2] = float("inf")
    image, grads = with_gradients(replace(scene, affine=affine, opacity=opacity), "cpu")
    true, true_grads = with_gradients(clean, "cpu")
    assert torch.equal(image, true)
    for found, expected in zip(grads, true_grads):
        assert (found[:3] == 0).all()
        assert torch.equal(found[3:], expected)


def test_an_opaque_sprite_gets_a_gradient_from_what_it_hides() -> None:
    """A red opaque square over a green one, where the target wants green: its opacity must want to fall."""
    affine = affine_of(*torch.tensor([[8.0, 8.0], [8.0, 8.0], [6.0, 6.0], [6.0, 6.0], [0.0, 0.0]]).double())
    tint = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).double()
    opacity = torch.ones(2).double().requires_grad_()
    atlas = build_atlas([np.ones((8, 8, 4))])
    image = composite(affine, opacity, tint, torch.zeros(2, dtype=torch.int32), atlas, (16, 16), stop=0.0)
    goal = torch.zeros(16, 16, 4)
    goal[..., 1] = goal[..., 3] = 1
    ((image - goal)[4:12, 4:12] ** 2).sum().backward()
    assert opacity.grad is not None
    assert opacity.grad[1] > 1
    assert abs(opacity.grad[0]) < 1e-6


BAD_CALLS: dict[str, dict[str, Any]] = {
    "opacity has shape": {"opacity": torch.ones(3)},
    "template index": {"template": torch.full((40,), 99)},
    "empty canvas": {"size": (0, 5)},
    "background": {"background": torch.ones(3, 3, 4)},
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
                opacity=torch.ones(1),
                tint=torch.ones(1, 3),
                template=scene.template[k : k + 1],
                background=None,
            ),
            "cpu",
        )[..., 3]
        for k in range(len(scene))
    ]
    covered = torch.stack([(a > 0).float().mean() for a in alone])
    assert (covered == 0).any()
    assert (covered > 0.9).any()
    assert ((covered > 0) & (covered < 0.005)).any()
    assert (scene.opacity == 1).any()
    assert len({(w, h) for _, w, h in make_atlas(np.random.default_rng(0)).levels}) > 10


@pytest.mark.parametrize(
    ("kind", "mix", "background", "as_seen"), pairwise(["mse", "l1"], MIXES, [True, False], [False, True])
)
def test_fused_loss_equals_the_loss_of_the_picture(
    kind: Literal["mse", "l1"], mix: float, background: bool, as_seen: bool
) -> None:
    scene = random_scene(31, n=30, size=(25, 41), mix=mix, background=background, half_size=(2, 30))
    goal = torch.rand(25, 41, 4, generator=torch.Generator().manual_seed(0))
    results = {}
    for back_end in ("cpu", "reference"):
        leaves = [t.detach().clone().requires_grad_() for t in (scene.affine, scene.opacity, scene.tint)]
        differentiated = replace(scene, affine=leaves[0], opacity=leaves[1], tint=leaves[2])
        loss = image_loss(differentiated, goal, back_end, kind=kind, encoded=as_seen)
        (3 * loss).backward()
        results[back_end] = loss.detach(), [leaf.grad for leaf in leaves]
    apart = [t.detach().clone().requires_grad_() for t in (scene.affine, scene.opacity, scene.tint)]
    image = draw(replace(scene, affine=apart[0], opacity=apart[1], tint=apart[2]), "cpu")
    if as_seen:
        image = torch.cat([encoded(image[..., :3], "linear"), image[..., 3:]], dim=-1)
    difference = image - goal
    # The mean over the three channels of color, with what alpha adds.
    ((difference.square() if kind == "mse" else difference.abs()).sum() / (25 * 41)).backward()
    loss, grads = results["cpu"]
    assert float(loss) == pytest.approx(float(results["reference"][0]), rel=1e-5)
    for found, true, unfused in zip(grads, results["reference"][1], (leaf.grad for leaf in apart)):
        assert found is not None and true is not None and unfused is not None  # noqa: PT018
        # Where a difference is nearly 0, rounding decides on the sign that L1 takes.
        assert relative(found, true) < (1e-4 if kind == "mse" else 1e-2)
        assert relative(found, unfused) < (1e-4 if kind == "mse" else 1e-2)


@pytest.mark.parametrize("back_end", ["cpu", "reference"])
def test_numpy_gives_numpy_with_the_numbers_of_tensors(back_end: str) -> None:
    scene = random_scene(51, n=6, size=(12, 17), mix=0.4)
    goal = torch.rand(12, 17, 4, generator=torch.Generator().manual_seed(1))
    candidates = random_candidates(52, scene, 3)
    plain: Scene[AnyArray] = Scene(
        scene.affine.numpy(),
        scene.opacity.numpy(),
        scene.tint.numpy(),
        scene.template.numpy(),
        scene.atlas,
        scene.size,
        None if scene.background is None else scene.background.numpy(),
        scene.mix,
        stop=0.0,
    )
    plain_candidates: Candidates[AnyArray] = Candidates(
        candidates.affine.numpy(),
        candidates.template.numpy(),
        candidates.replaces.numpy(),
        candidates.position.numpy(),
    )
    image = draw(plain, back_end)
    assert isinstance(image, np.ndarray)
    assert np.array_equal(image, draw(scene, back_end).numpy())
    assert image_loss(plain, goal.numpy(), back_end) == float(image_loss(scene, goal, back_end))
    errors = removal_errors(plain, goal.numpy(), back_end)
    assert np.array_equal(errors, removal_errors(scene, goal, back_end).numpy())
    found = evaluate_candidates(plain, goal.numpy(), plain_candidates, back_end)
    expected = evaluate_candidates(scene, goal, candidates, back_end)
    assert np.array_equal(found.removal_errors, expected.removal_errors.numpy())
    assert np.array_equal(found.coefficients, expected.coefficients.numpy())


def test_keywords_draw_what_a_scene_draws() -> None:
    scene = random_scene(53, n=9, size=(20, 17), mix=0.4)
    drawn = composite(
        scene.affine,
        scene.opacity,
        scene.tint,
        scene.template,
        scene.atlas,
        scene.size,
        background=scene.background,
        mix=scene.mix,
        stop=scene.stop,
    )
    assert torch.equal(drawn, draw(scene, "cpu"))


def test_a_background_that_wants_a_gradient_is_refused() -> None:
    scene = random_scene(54, n=3)
    assert scene.background is not None
    with pytest.raises(ValueError, match="background is a constant"):
        draw(replace(scene, background=scene.background.requires_grad_()), "cpu")


def test_importing_the_rasteriser_does_not_import_torch() -> None:
    code = "import sys, smalti.engine.raster; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
