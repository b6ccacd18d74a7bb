# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser as torch sees it: true gradients, the numbers of every back end, shared memory, refused calls."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from scenes import random_goal, random_scene, weight_of, with_gradients
from smalti.engine import pytorch, raster
from smalti.engine.arrays import AnyArray
from smalti.engine.pytorch import Scene, composite, draw, image_loss

BACK_ENDS = ("cpu", "reference")


def tensors_of(scene: Scene[AnyArray], differentiable: bool = False) -> Scene[Tensor]:
    """The scene as tensors that share its memory; leaves with gradients are copies."""
    names = ("affine", "opacity", "tint")
    tensors: dict[str, Any] = {name: torch.from_numpy(getattr(scene, name)) for name in (*names, "template")}
    if differentiable:
        tensors |= {name: tensors[name].clone().requires_grad_() for name in names}
    background = None if scene.background is None else torch.from_numpy(scene.background)
    settings = {name: getattr(scene, name) for name in ("atlas", "size", "mix", "lod_bias", "stop")}
    return Scene(**tensors, background=background, **settings)


def keywords(scene: Scene[Tensor]) -> dict[str, Any]:
    return {name: value for name, value in vars(scene).items() if name != "first_row"}  # strips are not for autograd


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_the_reference_passes_torchs_check_of_gradients(mix: float) -> None:
    scene = tensors_of(random_scene(11, n=4, size=(5, 7), mix=mix, half_size=(1.0, 12.0)), differentiable=True)
    goal = torch.from_numpy(random_goal(5, 7).astype(np.float64))
    leaves = scene.affine, scene.opacity, scene.tint

    def picture(affine: Tensor, opacity: Tensor, tint: Tensor) -> Tensor:
        return composite(
            **{**keywords(scene), "affine": affine, "opacity": opacity, "tint": tint}, back_end="reference"
        )

    def loss(affine: Tensor, opacity: Tensor, tint: Tensor) -> Tensor:
        moved = replace(scene, affine=affine, opacity=opacity, tint=tint)
        return image_loss(moved, goal, "reference", encoded=True)

    for function in (picture, loss):
        assert torch.autograd.gradcheck(function, leaves, eps=1e-7, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_gradients_are_those_of_a_drawing(back_end: str, background: bool) -> None:
    scene = random_scene(12, n=20, mix=0.4, background=background)
    image, gradients = with_gradients(scene, back_end)
    tensors = tensors_of(scene, differentiable=True)
    drawn = draw(tensors, back_end)
    np.testing.assert_array_equal(drawn.detach().numpy(), image)
    (drawn * torch.from_numpy(weight_of(scene)).to(drawn.dtype)).sum().backward()
    for name, expected in zip(("affine", "opacity", "tint"), gradients):
        grad = getattr(tensors, name).grad
        # In single precision the weights are rounded before they come to the kernels, as there.
        np.testing.assert_array_equal(grad.numpy(), expected)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("kind", ["mse", "l1"])
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_the_loss_and_its_gradients_are_those_of_arrays(
    back_end: str, kind: Literal["mse", "l1"], encoded: bool
) -> None:
    scene, goal = random_scene(13, n=20, mix=0.4), random_goal(37, 53)
    value, gradients = raster.image_loss(scene, goal, back_end, kind, encoded)
    tensors = tensors_of(scene, differentiable=True)
    loss = image_loss(tensors, torch.from_numpy(goal), back_end, kind, encoded)
    assert loss.shape == ()
    assert float(loss.detach()) == float(value)
    (3 * loss).backward()
    for name in ("affine", "opacity", "tint"):
        np.testing.assert_allclose(getattr(tensors, name).grad.numpy(), 3 * getattr(gradients, name), rtol=1e-6)


def test_keywords_draw_what_a_scene_draws() -> None:
    scene = random_scene(53, n=9, size=(20, 17), mix=0.4)
    drawn = composite(**keywords(tensors_of(scene)))
    np.testing.assert_array_equal(drawn.numpy(), raster.draw(scene, "cpu"))
    assert torch.equal(drawn, draw(tensors_of(scene), "cpu"))


def test_gradients_have_the_type_of_what_they_are_by() -> None:
    scene = random_scene(55, n=5)
    single = replace(
        tensors_of(scene),
        affine=torch.from_numpy(scene.affine).float().requires_grad_(),
        opacity=torch.from_numpy(scene.opacity).half().requires_grad_(),
        tint=torch.from_numpy(scene.tint).requires_grad_(),
    )
    draw(single, "cpu").sum().backward()
    for leaf in (single.affine, single.opacity, single.tint):
        assert leaf.grad is not None
        assert leaf.grad.dtype == leaf.dtype


def test_a_picture_may_be_differentiated_twice_but_has_no_second_derivative() -> None:
    scene = tensors_of(random_scene(56, n=5), differentiable=True)
    image = draw(scene, "cpu")
    (first,) = torch.autograd.grad(image.sum(), scene.opacity, create_graph=True)
    (second,) = torch.autograd.grad(2 * image.sum(), scene.opacity)
    torch.testing.assert_close(second, 2 * first)
    assert not first.requires_grad


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_background_that_wants_a_gradient_is_refused(back_end: str) -> None:
    scene = tensors_of(random_scene(54, n=3))
    assert scene.background is not None
    wanting = replace(scene, background=scene.background.clone().requires_grad_())
    with pytest.raises(ValueError, match="background is a constant"):
        draw(wanting, back_end)
    with pytest.raises(ValueError, match="background is a constant"):
        image_loss(wanting, torch.from_numpy(random_goal(37, 53)), back_end)
    with torch.no_grad():
        assert torch.equal(draw(wanting, back_end), draw(scene, back_end))


def test_calls_that_do_not_fit_are_refused() -> None:
    scene = tensors_of(random_scene(57, n=3))
    with pytest.raises(ValueError, match="'gpu'"):
        draw(scene, "gpu")
    with pytest.raises(ValueError, match="need affine"):
        composite(**{**keywords(scene), "opacity": torch.ones(4)})
    with pytest.raises(ValueError, match="the goal must have shape"):
        image_loss(scene, torch.zeros(3, 3, 4), "cpu")
    with pytest.raises(ValueError, match="mse or l1"):
        image_loss(scene, torch.zeros(37, 53, 4), "cpu", kind="l2")  # type: ignore[arg-type]


def test_memory_is_shared_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the back end is given, and what it returns."""
    scene = tensors_of(random_scene(58, n=3))
    seen: list[Scene[Any]] = []
    images: list[AnyArray] = []
    kernels = raster.backends.operations("cpu")
    forward = kernels.forward

    def recorded(arrays: Scene[Any]) -> Any:
        seen.append(arrays)
        image, saved = forward(arrays)
        images.append(image)
        return image, saved

    monkeypatch.setattr(kernels, "forward", recorded)
    drawn = draw(scene, "cpu")
    for name in ("affine", "opacity", "tint", "template", "background"):
        assert getattr(seen[0], name).ctypes.data == getattr(scene, name).data_ptr(), name
    assert drawn.data_ptr() == images[0].ctypes.data


def test_the_public_names_are_those_listed() -> None:
    assert set(pytorch.__all__) == {"composite", "draw", "image_loss"}
    # Those of the rasteriser come along, but their page is the rasteriser's.
    for name in (*pytorch.__all__, "Scene", "build_atlas"):
        assert callable(getattr(pytorch, name))


def test_without_torch_the_import_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['torch'] = None; import smalti.engine.pytorch"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last == 'ImportError: smalti.engine.pytorch needs PyTorch. Install it: pip install "smalti[torch]"'
