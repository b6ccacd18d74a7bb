# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimizes: the canvas with its goal, and the losses that compare a picture with it."""

from __future__ import annotations

import numpy as np

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array, Float64Array
from ...raster import StepLoss
from ...raster.loss import ALPHA
from ...raster.noise import key_of, noise_picture
from .canvas import display_encode, over, reduced_canvas
from .losses import Comparison, Loss, Needs, Objective


class ImageObjective:
    """The objective of one target: its canvas at some pyramid level, its background, the loss.

    Args:
        target: [H, W, 4] float32, premultiplied, in the blend space.
        background: [H, W, 4] float32, premultiplied, in the blend space; None where the sprites must stand alone: then
            every step lays them and the target on fresh noise, so that covering exactly what the target covers is the
            only way to match (the noisy canvas of DiffBMP, arXiv 2602.22625).
        space: the blend space.
        objective: the loss, and how much each pixel counts.
        seed: of the noise.

    Attributes:
        canvas: target, background and goal at the pyramid level of now.
        loss: what compares pictures; None for the mean squared error.
        weights: [H, W] how much each pixel counts, with mean 1; None for all alike.
        size: height and width of the full canvas.
        previous: the finished sprites of the frame before, and their target: [H, W, 4] each, premultiplied, in the
            blend space; None in the first frame of a scene, and where no term needs it.
    """

    def __init__(
        self, target: Float32Array, background: Float32Array | None, space: BlendSpace, objective: Objective, seed: int
    ) -> None:
        self.space: BlendSpace = space
        self.loss = objective.loss()
        self.weights = objective.weights(display_encode(target, space))
        self.size = (target.shape[0], target.shape[1])
        self._pictures = target, _with_bare_cost(background, objective)
        self.previous: tuple[Float32Array, Float32Array] | None = None
        self._seed = seed
        self.use_level(1)

    def use_level(self, downscale: int) -> None:
        """Let the canvas be `downscale` times smaller a side."""
        self._downscale = downscale
        self.canvas = reduced_canvas(*self._pictures, self.space, downscale, self.weights)

    def choose_level(self, pyramid: tuple[tuple[float, int], ...], progress: float) -> None:
        """Take the pyramid level for this fraction of the steps (see `OptimiserSettings.pyramid`)."""
        downscale = next((r for until, r in pyramid if progress < until), 1)
        if downscale != self._downscale:
            self.use_level(downscale)

    def on_canvas(self, affine: Float64Array) -> Float64Array:
        """Maps from pixels of the full canvas [N, 6] as maps from pixels of the canvas at this level."""
        width, height = self.canvas.pixel
        return np.asarray(affine * np.array([width, height, 1, width, height, 1]))

    def noise_key(self, step: int) -> int | None:
        """Names the noise of a step; None where there is a background."""
        return None if self.canvas.background is not None else key_of(self._seed, step)

    def background_and_goal(self, step: int) -> tuple[Float32Array, Float32Array]:
        """The background of a step, and the target over it: [h, w, 4] each, in the blend space."""
        canvas = self.canvas
        if canvas.background is not None and canvas.blended is not None:
            return canvas.background, canvas.blended
        background = noise_picture(key_of(self._seed, step), canvas.size)
        return background, over(canvas.target, background)

    def antithetic_backgrounds(self, step: int) -> list[tuple[Float32Array, Float32Array]]:
        """As `background_and_goal`, for judging sprites: noise comes with its negative.

        Of many small candidates over a covered hole, some match any one noise by chance; none matches both.
        """
        background, goal = self.background_and_goal(step)
        if self.canvas.background is not None:
            return [(background, goal)]
        negative = np.concatenate([1 - background[..., :3], background[..., 3:]], axis=-1)
        return [(background, goal), (negative, over(self.canvas.target, negative))]

    def shown(self, goal: Float32Array) -> Float32Array:
        """A goal [h, w, 4] of `background_and_goal` or `antithetic_backgrounds`, display-encoded."""
        canvas = self.canvas
        return canvas.goal if canvas.goal is not None and goal is canvas.blended else display_encode(goal, self.space)

    def step_loss(self, step: int) -> StepLoss | None:
        """What the step after `step` steps minimizes; None for the mean squared error."""
        loss, canvas = self.loss, self.canvas
        if loss is None:
            return None
        previous = self._previous_over(step, loss)

        def others(rendered: Float32Array, goal: Float32Array) -> tuple[float, Float32Array]:
            return loss.others(Comparison(rendered, goal, canvas.weights, previous))

        alpha = canvas.alpha if ALPHA in loss.factors else None
        return StepLoss(loss.factors, canvas.weights, alpha, others if loss.has_others else None)

    def _previous_over(self, step: int, loss: Loss) -> Comparison | None:
        """The frame before and its goal over the background of this step; None where no term needs it."""
        if self.previous is None or Needs.PREVIOUS not in loss.needs:
            return None
        background, _ = self.background_and_goal(step)
        shown = (display_encode(over(picture, background), self.space)[..., :3] for picture in self.previous)
        rendered, goal = (np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in shown)
        return Comparison(rendered, goal)

    def enlarged(self, plane: Float32Array) -> Float32Array:
        """A plane [h, w] of the canvas at this level, repeated to the full canvas [H, W]."""
        row, column = (np.arange(full) * small // full for full, small in zip(self.size, self.canvas.size, strict=True))
        return np.asarray(plane[row[:, None], column])


def _with_bare_cost(background: Float32Array | None, objective: Objective) -> Float32Array | None:
    """The background [H, W, 4], its alpha lowered so that candidates and removal errors count what lies bare.

    They sum squared differences of four channels; where the target is opaque, that of alpha then is the bare share
    times what is missing here. Steps have a term for it, and do not look at a background's alpha.
    """
    if background is None or not objective.cost_of_bare:
        return background
    lowered = background.copy()
    lowered[..., 3] -= np.sqrt(3 * objective.cost_of_bare)
    return lowered
