# SPDX-License-Identifier: GPL-3.0-or-later
"""Random scenes that hold everything a rasteriser can get wrong, shared by the tests of the back ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from smalti.engine.arrays import Float64Array
from smalti.engine.raster import Atlas, Candidates, Scene, StackPosition, build_atlas, draw


def weight_of(scene: Scene[Tensor]) -> Tensor:
    """[height, width, 4]: a fixed random weight for each number of the image, which makes a scalar of it."""
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (*scene.size, 4)))


def with_gradients(scene: Scene[Tensor], back_end: str) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The image, and the gradients of sum(weight * image) by affine, opacity and tint."""
    leaves = [t.detach().clone().requires_grad_() for t in (scene.affine, scene.opacity, scene.tint)]
    image = draw(replace(scene, affine=leaves[0], opacity=leaves[1], tint=leaves[2]), back_end)
    grads = torch.autograd.grad((image * weight_of(scene).to(image.dtype)).sum(), leaves)
    return image.detach(), (grads[0], grads[1], grads[2])


def soft_bitmap(rng: np.random.Generator, height: int, width: int) -> Float64Array:
    """A random premultiplied bitmap, smooth enough to look like one, [height, width, 4] in 0..1."""
    alpha = rng.uniform(0, 1, (height, width, 1)) ** 0.3
    return np.concatenate([rng.uniform(0, 1, (height, width, 3)) * alpha, alpha], axis=2)


def make_atlas(rng: np.random.Generator) -> Atlas:
    """Square, wide, tall, odd-sized, opaque and one-pixel templates."""
    opaque = np.concatenate([rng.uniform(0, 1, (8, 8, 3)), np.ones((8, 8, 1))], axis=2)
    shapes = [(16, 16), (5, 23), (31, 7), (13, 11), (1, 1)]
    return build_atlas([opaque, *[soft_bitmap(rng, *shape) for shape in shapes]])


def affine_of(x: Tensor, y: Tensor, half_width: Tensor, half_height: Tensor, theta: Tensor) -> Tensor:
    """The map of a rotated rectangle, written out independently of the engine's own."""
    cos, sin = torch.cos(theta), torch.sin(theta)
    a, b = cos / half_width, sin / half_width
    d, e = -sin / half_height, cos / half_height
    return torch.stack([a, b, -(a * x + b * y), d, e, -(d * x + e * y)], dim=1)


def random_scene(
    seed: int,
    n: int = 40,
    size: tuple[int, int] = (37, 53),
    mix: float = 0.0,
    lod_bias: float = 0.0,
    background: bool = True,
    half_size: tuple[float, float] = (0.3, 60.0),
    opaque: float = 0.2,
) -> Scene[Tensor]:
    """Sprites on and off the canvas, below a pixel and larger than the canvas, some fully opaque, at every angle.

    No pixel stops early.
    """
    rng = np.random.default_rng(seed)
    height, width = size

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, shape))

    half = torch.exp(uniform(np.log(half_size[0]), np.log(half_size[1]), n))
    theta = uniform(-10, 10, n)
    theta[: n // 8] = torch.tensor([0, 0.5, 1, 1.5] * n, dtype=torch.float64)[: n // 8] * np.pi
    opacity = uniform(0.05, 1, n)
    opacity[uniform(0, 1, n) < opaque] = 1.0
    atlas = make_atlas(rng)
    return Scene(
        affine=affine_of(
            uniform(-0.3 * width, 1.3 * width, n),
            uniform(-0.3 * height, 1.3 * height, n),
            half,
            half * uniform(0.4, 1.6, n),
            theta,
        ),
        opacity=opacity,
        tint=uniform(0, 1, n, 3),
        template=torch.from_numpy(rng.integers(0, atlas.count, n)),
        atlas=atlas,
        size=size,
        background=uniform(0, 1, height, width, 4).float() if background else None,
        mix=mix,
        lod_bias=lod_bias,
        stop=0.0,
    )


def stacked_scene(seed: int, depth: int = 300, mix: float = 0.0) -> Scene[Tensor]:
    """`depth` faint sprites on top of each other."""
    scene = random_scene(seed, n=depth, size=(24, 24), mix=mix, half_size=(8, 20))
    rng = np.random.default_rng(seed + 1)
    centre = torch.from_numpy(rng.uniform(8, 16, (2, depth)))
    half = torch.from_numpy(rng.uniform(8, 20, (2, depth)))
    theta = torch.from_numpy(rng.uniform(-4, 4, depth))
    return replace(
        scene,
        affine=affine_of(centre[0], centre[1], half[0], half[1], theta),
        opacity=torch.from_numpy(rng.uniform(0.01, 0.1, depth)),
    )


def random_candidates(seed: int, scene: Scene[Tensor], count: int) -> Candidates[Tensor]:
    """In all positions, some far from what they replace, some of which only the position changes, some of nothing."""
    other = random_scene(seed, n=count, size=scene.size, half_size=(1, 30))
    rng = np.random.default_rng(seed)
    replaces = torch.from_numpy(rng.integers(0, len(scene.affine), count))
    position = torch.from_numpy(rng.choice(list(StackPosition), count))
    replaces[(position == StackPosition.TOP) & torch.from_numpy(rng.uniform(0, 1, count) < 0.5)] = -1
    affine, template = other.affine.clone(), other.template.clone()
    same = torch.from_numpy(rng.uniform(0, 1, count) < 0.3) & (replaces >= 0)
    affine[same], template[same] = scene.affine[replaces[same]], scene.template[replaces[same]]
    return Candidates(affine, template, replaces, position)
