# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser's promises: the reference is right, its gradients are true, and every back end agrees with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from scenes import Scene, random_scene, stacked_scene

MIXES = (0.0, 0.5, 1.0)


def relative(found: Tensor, true: Tensor) -> float:
    return float((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12))


def central_difference(scene: Scene, name: str, step: float = 1e-6) -> Tensor:
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
            image = replace(scene, **{name: moved.reshape(values.shape)}).image("reference")
            sides.append(float((image * scene.weight).sum()))
        out[i] = (sides[0] - sides[1]) / (2 * h)
    return out.reshape(values.shape)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("lod_bias", [0.0, 2.0])
def test_reference_gradients_are_those_of_central_differences(mix: float, lod_bias: float) -> None:
    # 1e-7 of a pixel: small enough that no pixel crosses a texel's border, where the slope jumps.
    scene = random_scene(11, n=10, size=(13, 17), mix=mix, lod_bias=lod_bias, half_size=(1.0, 20.0))
    _, grads = scene.with_gradients("reference")
    for name, found in zip(("affine", "opacity", "tint"), grads):
        true = central_difference(scene, name)
        if name == "tint" and mix == 1.0:
            assert found.abs().max() == true.abs().max() == 0
        else:
            assert relative(found, true) < 1e-6, name


SCENES = {
    **{f"mixed bag, mix {m}, bias {b}": (random_scene, {"seed": 1, "mix": m, "lod_bias": b})
       for m in MIXES for b in (0.0, 2.0)},
    **{f"300 deep, mix {m}": (stacked_scene, {"seed": 2, "mix": m}) for m in MIXES},
    "below a pixel": (random_scene, {"seed": 3, "n": 200, "half_size": (0.05, 0.8), "lod_bias": 1.0}),
    "larger than the canvas": (random_scene, {"seed": 4, "half_size": (80, 4000), "mix": 0.5}),
    "all opaque": (random_scene, {"seed": 5, "n": 25, "opaque": 1.0, "mix": 0.5}),
    "transparent background": (random_scene, {"seed": 6, "background": False, "mix": 0.5}),
    "one pixel wide": (random_scene, {"seed": 7, "size": (40, 1)}),
    "several tiles": (random_scene, {"seed": 8, "n": 60, "size": (70, 90), "half_size": (3, 40), "mix": 0.3}),
}


@pytest.mark.parametrize("name", SCENES)
def test_cpu_equals_reference(name: str) -> None:
    make, arguments = SCENES[name]
    scene = make(**arguments)
    true, true_grads = scene.with_gradients("reference")
    found, found_grads = scene.with_gradients("cpu")
    assert (found.double() - true).abs().max() < 2e-5
    for part, f, t in zip(("affine", "opacity", "tint"), found_grads, true_grads):
        assert relative(f, t) < 1e-4, part
        # Each sprite by itself as well: a small one must not hide behind a large one.
        error, size = (f - t).reshape(len(t), -1).norm(dim=1), t.reshape(len(t), -1).norm(dim=1)
        assert (error <= 1e-3 * size + 1e-5 * size.mean()).all(), part
