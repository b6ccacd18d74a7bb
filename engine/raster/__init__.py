# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable rasteriser: a `Scene`, the operations on it, and the back ends that compute them.

`composite` is the whole of it for who wants one function; the engine makes a `Scene` and calls `draw`, `image_loss`,
`removal_errors` and `evaluate_candidates`.
"""

from __future__ import annotations

from ..devices import BACK_ENDS
from .atlas import Atlas, build_atlas
from .backends import FINISHED_BACK_END, fused_step
from .candidates import Candidates, CandidateScores, StackPosition, optimal_opacity_and_tint
from .operations import draw, evaluate_candidates, image_loss, removal_errors
from .scene import STOP, ArrayT, Gradients, Scene
from .step import FusedStep, Step

__all__ = [
    "BACK_ENDS",
    "FINISHED_BACK_END",
    "STOP",
    "Atlas",
    "CandidateScores",
    "Candidates",
    "FusedStep",
    "Gradients",
    "Scene",
    "StackPosition",
    "Step",
    "build_atlas",
    "composite",
    "draw",
    "evaluate_candidates",
    "fused_step",
    "image_loss",
    "optimal_opacity_and_tint",
    "removal_errors",
]


def composite(
    affine: ArrayT,
    opacity: ArrayT,
    tint: ArrayT,
    template: ArrayT,
    atlas: Atlas,
    size: tuple[int, int],
    background: ArrayT | None = None,
    mix: float = 0.0,
    lod_bias: float = 0.0,
    stop: float = STOP,
    back_end: str = FINISHED_BACK_END,
) -> ArrayT:
    """`draw` with the fields of a `Scene` as arguments. Raises ValueError as both."""
    return draw(Scene(affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop), back_end)
