# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a scene, by any back end. Scenes of torch tensors are differentiable, those of NumPy arrays not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, cast

from .backends import operations
from .candidates import Candidates, CandidateScores, check_candidates
from .scene import ArrayT, Scene, check_goal

if TYPE_CHECKING:
    from torch import Tensor


def draw(scene: Scene[ArrayT], back_end: str) -> ArrayT:
    """Composite a scene. The formula stands in docs/forward-model.md.

    Differentiable in `affine`, `opacity` and `tint`, once (no second derivatives); everything else is a constant.

    Args:
        scene: what to draw.
        back_end: a key of `BACK_ENDS`.

    Returns:
        [height, width, 4] premultiplied RGBA in the blend space: float32 from the CPU and from CUDA, the type of
        `affine` from the reference. An array of the scene's kind, where its `affine` is.

    Raises:
        ValueError: unknown back end, or a background that wants a gradient.
    """
    if _holds_tensors(scene):
        from . import autograd

        return cast(ArrayT, autograd.draw(scene, operations(back_end)))
    return cast(ArrayT, operations(back_end).forward(scene)[0])


def image_loss(
    scene: Scene[ArrayT],
    goal: ArrayT,
    back_end: str,
    kind: Literal["mse", "l1"] = "mse",
    encoded: bool = False,
) -> Any:
    """The difference between what `draw` returns and a goal, differentiable like it (faster in one).

    Args:
        scene, back_end: as `draw`.
        goal: [height, width, 4] float, premultiplied, in the blend space; a constant.
        kind: ``"mse"``, the squared difference, or ``"l1"``, the absolute one (whose slope at 0 is 0). Both are the
            mean over the pixels and the three channels of color, to whose differences that of alpha is added: over an
            opaque background it is 0.
        encoded: the picture is in linear light, but compared as a display shows it: its premultiplied colors go
            through the sRGB curve first. The goal's have done so already.

    Returns:
        A scalar tensor, or for NumPy arrays a number: float64 from the CPU and from CUDA, the type of `affine` from
        the reference.

    Raises:
        ValueError: as `draw`, an unknown kind, or a goal of another size.
    """
    if kind not in ("mse", "l1"):
        raise ValueError(f"kind must be mse or l1, not {kind!r}")
    check_goal(scene, goal)
    if _holds_tensors(scene):
        from . import autograd

        return autograd.image_loss(scene, goal, operations(back_end), kind == "l1", encoded)
    return float(operations(back_end).loss_and_gradients(scene, goal, kind == "l1", encoded)[0])


def removal_errors(scene: Scene[ArrayT], goal: ArrayT, back_end: str) -> ArrayT:
    """By how much `image_loss` (mse, not encoded) would grow without each sprite. Exact, not a slope.

    Args:
        scene, goal, back_end: as `image_loss`.

    Returns:
        [N] float64 (the type of `affine` from the reference); below 0 for a sprite that raises the error, 0 for an
        occluded one.

    Raises:
        ValueError: as `image_loss`.
    """
    check_goal(scene, goal)
    return _evaluate(scene, goal, None, back_end).removal_errors


def evaluate_candidates(
    scene: Scene[ArrayT], goal: ArrayT, candidates: Candidates[ArrayT], back_end: str
) -> CandidateScores[ArrayT]:
    """The error of removing each sprite, and of each candidate in its place in the stack. Exact, not a slope.

    Args:
        candidates: the sprites to evaluate. Each is inserted alone.
        scene, goal, back_end: as `image_loss`.

    Returns:
        See `CandidateScores`; float64, from the reference the type of `affine`.

    Raises:
        ValueError: as `image_loss`, or a candidate without a position, or one that replaces a sprite that does not
            exist.
    """
    check_goal(scene, goal)
    check_candidates(scene, candidates)
    return _evaluate(scene, goal, candidates, back_end)


def _evaluate(
    scene: Scene[ArrayT], goal: ArrayT, candidates: Candidates[ArrayT] | None, back_end: str
) -> CandidateScores[ArrayT]:
    if _holds_tensors(scene):
        from . import autograd

        return cast(
            CandidateScores[ArrayT], autograd.evaluate_candidates(scene, goal, candidates, operations(back_end))
        )
    return operations(back_end).evaluate_candidates(scene, goal, candidates)


def _holds_tensors(scene: Scene[Any]) -> TypeGuard[Scene[Tensor]]:
    """Whether the arrays are torch tensors; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(scene.affine, torch.Tensor)
