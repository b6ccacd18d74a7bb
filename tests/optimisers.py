# SPDX-License-Identifier: GPL-3.0-or-later
"""A small optimizer of random sprites, shared by tests of the fit and of the back ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from smalti.bridge.job import JobSpec
from smalti.engine.arrays import AnyArray, Float32Array, Float64Array
from smalti.engine.fitting.constraints import ConstraintContext, Constraints
from smalti.engine.fitting.groups import Group
from smalti.engine.fitting.objective import ImageObjective
from smalti.engine.fitting.optimiser import Optimiser, OptimiserSettings
from smalti.engine.fitting.schedule import Schedule
from smalti.engine.raster import build_atlas
from smalti.engine.sprites import Sprites

SIZE = 61, 83
TEMPLATES = [(9, 14), (30, 30), (16, 5)]
SEED = 4


def settings(**changes: Any) -> OptimiserSettings:
    """Of a hundred steps; `changes` replace what is usual."""
    return OptimiserSettings(
        **{
            "steps": 100,
            "schedule": Schedule(lod_bias=1.0),
            "colour_mix": 0.0,
            "blend_space": "srgb",
            "alpha_max": 0.9,
            "lock_rotation": False,
            "lock_scale": False,
            "size_range": (3.0, 60.0),
            "back_end": "cpu",
            **changes,
        }
    )


def random_bitmaps(rng: np.random.Generator) -> list[AnyArray]:
    """[h, w, 4] each, premultiplied."""
    bitmaps = [rng.uniform(0, 1, (*shape, 4)) for shape in TEMPLATES]
    for bitmap in bitmaps:
        bitmap[..., :3] *= bitmap[..., 3:]
    return bitmaps


def coverage(bitmaps: Sequence[AnyArray]) -> Float64Array:
    """[T]: mean alpha of each."""
    return np.array([bitmap[..., 3].mean() for bitmap in bitmaps])


def optimiser(background: bool, chosen: OptimiserSettings, **constraints: Any) -> Optimiser:
    """The optimizer before its first step.

    Args:
        background: whether there is one; otherwise the target is transparent to the left.
        chosen: from `settings`.
        constraints: settings of a job that ask for constraints, such as ``min_visibility=0.2``.
    """
    rng = np.random.default_rng(SEED)
    n = 40
    bitmaps = random_bitmaps(rng)
    target: Float32Array = rng.uniform(0, 1, (*SIZE, 4)).astype(np.float32)
    target[..., 3] = 1 if background else np.linspace(0, 1, SIZE[1])
    target[..., :3] *= target[..., 3:]
    sprites = Sprites(
        template=rng.integers(0, 3, n).astype(np.int32),
        x=rng.uniform(-5, SIZE[1] + 5, n),
        y=rng.uniform(-5, SIZE[0] + 5, n),
        scale=rng.uniform(2, 20, n),
        aspect=rng.normal(0, 0.2, n),
        theta=rng.uniform(-3, 3, n),
        opacity=rng.uniform(0.1, 0.85, n),
        tint=rng.uniform(0, 1, (n, 3)),
    )
    shapes = np.array([[width, height] for height, width in TEMPLATES], np.float64)
    behind = np.full((*SIZE, 4), (0.3, 0.6, 0.1, 1), np.float32) if background else None
    objective = ImageObjective(target, behind, chosen.blend_space, chosen.objective, seed=7)
    context = ConstraintContext(
        JobSpec("target.png", "bitmaps", **constraints),
        frame=0,
        groups=[Group(n, range(3), chosen.size_range)],
        settings=chosen,
        size=SIZE,
        atlas_of=partial(build_atlas, bitmaps),
        shapes=shapes,
        coverage=coverage(bitmaps),
        inside=None,
    )
    return Optimiser(objective, build_atlas(bitmaps), shapes, sprites, chosen, Constraints.of(context))


def off(found: AnyArray, expected: AnyArray) -> float:
    """How long the difference is, against what it should be."""
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-30))


def check_moments(found: AnyArray, expected: AnyArray, name: str) -> None:
    """The same within rounding, all but one sprite: where two texels meet the slope jumps, and rounding decides."""
    assert off(found, expected) < 1e-3, name
    error = ((found - expected) ** 2).reshape(len(found), -1).sum(axis=1)
    others = error < error.max()
    # A square's relative error is twice that of what is squared.
    close = 1e-5 if name.startswith("adam.mean") else 2e-5
    assert np.sqrt(error[others].sum()) <= close * np.linalg.norm(expected), name


def check_step(kernels: Optimiser, reference: Optimiser) -> None:
    """Make a step of both, from the same state: moments and what the parameters become are the same within rounding."""
    before = kernels.state()
    reference.restore(before)
    assert float(kernels.step()) == pytest.approx(float(reference.step()), rel=1e-5)
    found, expected = kernels.state(), reference.state()
    assert sorted(found) == sorted(expected)
    for name in expected:
        kind, _, _ = name.rpartition(".")
        if kind in ("adam.mean", "adam.square"):
            check_moments(found[name], expected[name], name)
        elif kind == "parameter":
            # Rounding decides on the sign of a slope that is nearly 0, which is as long a step as any other.
            moved = np.linalg.norm(expected[name] - before[name])
            assert np.linalg.norm(found[name] - expected[name]) <= 2e-2 * moved, name
            assert (moved == 0) == np.array_equal(found[name], before[name]), name
        else:
            np.testing.assert_array_equal(found[name], expected[name])


def on_both(background: bool, constraints: Mapping[str, Any], **changes: Any) -> tuple[Optimiser, Optimiser]:
    """The kernels' optimizer and the reference's, from the same start; the kernels draw for the constraints of both."""
    kernels, reference = (
        optimiser(background, settings(back_end=name, **changes), **constraints) for name in ("cpu", "reference")
    )
    reference.constraints = kernels.constraints
    return kernels, reference


def too_little_room(monkeypatch: pytest.MonkeyPatch, is_too_little: Callable[[int], bool]) -> list[int]:
    """Let lists of pairs in the CUDA back end have too little room at some calls, by their number from 1.

    Returns:
        How many pairs each call asked for so far. Every other call empties the old memory.
    """
    from smalti.engine.cuda import binning

    asked: list[int] = []
    reserve = binning.Bins.reserve

    def stingy(bins: binning.Bins, pairs: int) -> None:
        asked.append(pairs)
        reserve(bins, 5 if is_too_little(len(asked)) else pairs)

    monkeypatch.setattr(binning.Bins, "reserve", stingy)
    return asked
