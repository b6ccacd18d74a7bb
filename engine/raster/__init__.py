# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable rasteriser: a `Scene`, the operations on it, and the back ends that compute them.

Everything is on arrays: `draw`, `drawing`, `image_loss`, `removal_errors`, `evaluate_candidates`, and
whole steps of an optimizer (`fused_step`). `smalti.engine.pytorch` has the same as functions that torch differentiates.
"""

from __future__ import annotations

from ..devices import BACK_ENDS
from .atlas import Atlas, build_atlas
from .backends import FINISHED_BACK_END, fused_step
from .candidates import Candidates, CandidateScores, StackPosition, optimal_opacity_and_tint
from .loss import StepLoss
from .operations import Drawing, draw, drawing, evaluate_candidates, image_loss, removal_errors
from .scene import STOP, Gradients, Scene
from .step import FusedStep, SpriteArrays, Step
from .visible_pixels import PixelWeights, pixel_weights

__all__ = [
    "BACK_ENDS",
    "FINISHED_BACK_END",
    "STOP",
    "Atlas",
    "CandidateScores",
    "Candidates",
    "Drawing",
    "FusedStep",
    "Gradients",
    "PixelWeights",
    "Scene",
    "SpriteArrays",
    "StackPosition",
    "Step",
    "StepLoss",
    "build_atlas",
    "draw",
    "drawing",
    "evaluate_candidates",
    "fused_step",
    "image_loss",
    "optimal_opacity_and_tint",
    "pixel_weights",
    "removal_errors",
]
