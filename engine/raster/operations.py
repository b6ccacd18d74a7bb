# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a scene of arrays, by any back end. `smalti.engine.pytorch` wraps them for autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, cast

from .backends import FINISHED_BACK_END, Operations, operations
from .candidates import Candidates, CandidateScores, check_candidates
from .scene import ArrayT, Gradients, Scene, check_goal

LossKind = Literal["mse", "l1"]


def draw(scene: Scene[ArrayT], back_end: str) -> ArrayT:
    """Composite a scene. The formula stands in docs/forward-model.md.

    Args:
        scene: what to draw.
        back_end: a key of `BACK_ENDS`.

    Returns:
        [height, width, 4] premultiplied RGBA in the blend space: float32 from the CPU and from CUDA, the type of
        `affine` from the reference. An array of the scene's kind, where its `affine` is.

    Raises:
        ValueError: unknown back end, or one that draws no strips and a scene that is one.
    """
    return cast(ArrayT, _operations_on(scene, back_end).forward(scene)[0])


@dataclass(frozen=True, eq=False)
class Drawing(Generic[ArrayT]):
    """A picture, and what its gradients need.

    Attributes:
        image: as `draw` returns it.
    """

    image: ArrayT
    _saved: Any
    _operations: Operations

    def gradients(self, grad_image: ArrayT) -> Gradients[ArrayT]:
        """The gradients of sum(grad_image * image), any number of times. grad_image: [height, width, 4]."""
        if tuple(grad_image.shape) != tuple(self.image.shape):
            raise ValueError(f"the gradient must have shape {tuple(self.image.shape)}, not {tuple(grad_image.shape)}")
        return self._operations.backward(self._saved, grad_image)


def drawing(scene: Scene[ArrayT], back_end: str) -> Drawing[ArrayT]:
    """`draw`, for who also wants gradients. Raises as it."""
    chosen = _operations_on(scene, back_end)
    image, saved = chosen.forward(scene)
    return Drawing(image, saved, chosen)


def image_loss(
    scene: Scene[ArrayT], goal: ArrayT, back_end: str, kind: LossKind = "mse", encoded: bool = False
) -> tuple[Any, Gradients[ArrayT]]:
    """The difference between what `draw` returns and a goal, with its gradients, in one pass.

    Args:
        scene, back_end: as `draw`.
        goal: [height, width, 4] float, premultiplied, in the blend space.
        kind: ``"mse"``, the squared difference, or ``"l1"``, the absolute one (whose slope at 0 is 0). Both are the
            mean over the pixels and the three channels of color, to whose differences that of alpha is added: over an
            opaque background it is 0.
        encoded: the picture is in linear light, but compared as a display shows it: its premultiplied colors go
            through the sRGB curve first. The goal's have done so already.

    Returns:
        The loss (float64 from the CPU and from CUDA, the type of `affine` from the reference), and the gradients.

    Raises:
        ValueError: as `draw`, an unknown kind, or a goal of another size.
    """
    if kind not in ("mse", "l1"):
        raise ValueError(f"kind must be mse or l1, not {kind!r}")
    check_goal(scene, goal)
    return _operations_on(scene, back_end).loss_and_gradients(scene, goal, kind == "l1", encoded)


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
    return cast(ArrayT, _operations_on(scene, back_end).evaluate_candidates(scene, goal, None).removal_errors)


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
    return _operations_on(scene, back_end).evaluate_candidates(scene, goal, candidates)


def _operations_on(scene: Scene[Any], back_end: str) -> Operations:
    """The back end's functions. Raises ValueError as `draw`."""
    if scene.first_row and back_end != FINISHED_BACK_END:
        raise ValueError(f"the back end {back_end} draws no strips")
    return operations(back_end)
