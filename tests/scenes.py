# SPDX-License-Identifier: GPL-3.0-or-later
"""Random scenes that hold everything a rasteriser can get wrong, shared by the tests of the back ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.engine.arrays import AnyArray, Float32Array, Float64Array
from smalti.engine.raster import Atlas, Candidates, Scene, StackPosition, build_atlas, drawing


def weight_of(scene: Scene[AnyArray]) -> Float64Array:
    """[height, width, 4]: a fixed random weight for each number of the image, which makes a scalar of it."""
    return np.random.default_rng(0).uniform(-1, 1, (*scene.size, 4))


def with_gradients(scene: Scene[AnyArray], back_end: str) -> tuple[AnyArray, tuple[AnyArray, AnyArray, AnyArray]]:
    """The image, and the gradients of sum(weight * image) by affine, opacity and tint."""
    drawn = drawing(scene, back_end)
    gradients = drawn.gradients(weight_of(scene))
    return drawn.image, (gradients.affine, gradients.opacity, gradients.tint)


def relative(found: AnyArray, true: AnyArray) -> float:
    """How long the difference is, against what it should be."""
    exact = true.astype(np.float64)
    return float(np.linalg.norm(found.astype(np.float64) - exact) / max(float(np.linalg.norm(exact)), 1e-12))


def random_goal(height: int, width: int, seed: int = 0) -> Float32Array:
    """[height, width, 4], each number from 0 to 1."""
    return np.random.default_rng(seed).random((height, width, 4), np.float32)


def soft_bitmap(rng: np.random.Generator, height: int, width: int) -> Float64Array:
    """A random premultiplied bitmap, smooth enough to look like one, [height, width, 4] in 0..1."""
    alpha = rng.uniform(0, 1, (height, width, 1)) ** 0.3
    return np.concatenate([rng.uniform(0, 1, (height, width, 3)) * alpha, alpha], axis=2)


def make_atlas(rng: np.random.Generator) -> Atlas:
    """Square, wide, tall, odd-sized, opaque and one-pixel templates."""
    opaque = np.concatenate([rng.uniform(0, 1, (8, 8, 3)), np.ones((8, 8, 1))], axis=2)
    shapes = [(16, 16), (5, 23), (31, 7), (13, 11), (1, 1)]
    return build_atlas([opaque, *[soft_bitmap(rng, *shape) for shape in shapes]])


def affine_of(
    x: Float64Array, y: Float64Array, half_width: Float64Array, half_height: Float64Array, theta: Float64Array
) -> Float64Array:
    """The map of a rotated rectangle, written out independently of the engine's own."""
    cos, sin = np.cos(theta), np.sin(theta)
    a, b = cos / half_width, sin / half_width
    d, e = -sin / half_height, cos / half_height
    return np.stack([a, b, -(a * x + b * y), d, e, -(d * x + e * y)], axis=1)


def one_affine(x: float, y: float, half_width: float, half_height: float, theta: float) -> Float64Array:
    """[1, 6]: that of one rectangle."""
    return affine_of(*(np.array([value], np.float64) for value in (x, y, half_width, half_height, theta)))


def random_scene(
    seed: int,
    n: int = 40,
    size: tuple[int, int] = (37, 53),
    mix: float = 0.0,
    lod_bias: float = 0.0,
    background: bool = True,
    half_size: tuple[float, float] = (0.3, 60.0),
    opaque: float = 0.2,
    shade: float = 0.0,
) -> Scene[AnyArray]:
    """Sprites on and off the canvas, below a pixel and larger than the canvas, some fully opaque, at every angle.

    No pixel stops early.
    """
    rng = np.random.default_rng(seed)
    height, width = size

    def uniform(low: float, high: float, *shape: int) -> Float64Array:
        return rng.uniform(low, high, shape)

    half = np.exp(uniform(np.log(half_size[0]), np.log(half_size[1]), n))
    theta = uniform(-10, 10, n)
    theta[: n // 8] = np.array([0, 0.5, 1, 1.5] * n)[: n // 8] * np.pi
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
        template=rng.integers(0, atlas.count, n),
        atlas=atlas,
        size=size,
        background=uniform(0, 1, height, width, 4).astype(np.float32) if background else None,
        mix=mix,
        lod_bias=lod_bias,
        stop=0.0,
        shade=shade,
    )


def stacked_scene(seed: int, depth: int = 300, mix: float = 0.0, shade: float = 0.0) -> Scene[AnyArray]:
    """`depth` faint sprites on top of each other."""
    scene = random_scene(seed, n=depth, size=(24, 24), mix=mix, half_size=(8, 20), shade=shade)
    rng = np.random.default_rng(seed + 1)
    center = rng.uniform(8, 16, (2, depth))
    half = rng.uniform(8, 20, (2, depth))
    theta = rng.uniform(-4, 4, depth)
    return replace(
        scene,
        affine=affine_of(center[0], center[1], half[0], half[1], theta),
        opacity=rng.uniform(0.01, 0.1, depth),
    )


def random_candidates(seed: int, scene: Scene[AnyArray], count: int) -> Candidates[AnyArray]:
    """In all positions, some far from what they replace, some of which only the position changes, some of nothing."""
    other = random_scene(seed, n=count, size=scene.size, half_size=(1, 30))
    rng = np.random.default_rng(seed)
    replaces = rng.integers(0, len(scene.affine), count)
    position = rng.choice(list(StackPosition), count)
    replaces[(position == StackPosition.TOP) & (rng.uniform(0, 1, count) < 0.5)] = -1
    affine, template = other.affine.copy(), other.template.copy()
    same = (rng.uniform(0, 1, count) < 0.3) & (replaces >= 0)
    affine[same], template[same] = scene.affine[replaces[same]], scene.template[replaces[same]]
    return Candidates(affine, template, replaces, position)
