# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimizes: the canvas with its goal, and the losses that compare a picture with it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from smalti.bridge.job import BlendSpace

from ...arrays import Float32Array
from ...cpu import threads_to_torch
from ...raster import Scene, draw, image_loss
from .canvas import display_encode, over, reduced_canvas
from .losses import Loss, Needs, Objective
from .noise import key_of, noise_picture


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
        loss: what compares pictures; None for the mean squared error, which the kernels know.
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
        self.weights = objective.weights(display_encode(torch.from_numpy(target), space).numpy())
        self.size = (target.shape[0], target.shape[1])
        self._pictures = target, background
        self.previous: tuple[Tensor, Tensor] | None = None
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

    def on_canvas(self, affine: Tensor) -> Tensor:
        """Maps from pixels of the full canvas [N, 6] as maps from pixels of the canvas at this level."""
        width, height = self.canvas.pixel
        return affine * affine.new_tensor([width, height, 1, width, height, 1])

    def noise_key(self, step: int) -> int | None:
        """Names the noise of a step; None where there is a background."""
        return None if self.canvas.background is not None else key_of(self._seed, step)

    def background_and_goal(self, step: int) -> tuple[Tensor, Tensor]:
        """The background of a step, and the target over it: [h, w, 4] each, in the blend space."""
        canvas = self.canvas
        background = canvas.background
        if background is None:
            background = noise_picture(key_of(self._seed, step), canvas.size)
        return background, over(canvas.target, background)

    def antithetic_backgrounds(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """As `background_and_goal`, for judging sprites: noise comes with its negative.

        Of many small candidates over a covered hole, some match any one noise by chance; none matches both.
        """
        background, goal = self.background_and_goal(step)
        if self.canvas.background is not None:
            return [(background, goal)]
        negative = torch.cat([1 - background[..., :3], background[..., 3:]], dim=-1)
        return [(background, goal), (negative, over(self.canvas.target, negative))]

    def backward(self, scene: Scene[Tensor], step: int, back_end: str) -> float:
        """Add the gradient of the loss to what a scene's sprites were computed from.

        Args:
            scene: the sprites on the canvas at the level of now, without a background.
            step: number of steps done.
            back_end: see `smalti.engine.raster.BACK_ENDS`.

        Returns:
            The mean squared error of display-encoded values, 0 to 1, whatever is minimized; only a loss that is not
            finite comes as it is.
        """
        if self.loss is not None:
            return self._backward_other(self.loss, scene, step, back_end)
        background, goal = self.background_and_goal(step)
        loss: Tensor = image_loss(
            replace(scene, background=background),
            display_encode(goal, self.space),
            back_end,
            encoded=self.space == "linear",
        )
        loss.backward()
        return float(loss.detach())

    def _backward_other(self, compare: Loss, scene: Scene[Tensor], step: int, back_end: str) -> float:
        """As `backward`, for a loss that the kernels do not know."""
        canvas, space = self.canvas, self.space
        background, goal = self.background_and_goal(step)
        encoded_goal = display_encode(goal, space) if canvas.goal is None else canvas.goal
        alone = Needs.OPACITY in compare.needs
        image = draw(replace(scene, background=None if alone else background), back_end)
        opacity = (image[..., 3], canvas.target[..., 3]) if alone else None
        shown = display_encode(over(image, background) if alone else image, space)
        with threads_to_torch() if Needs.NETWORK in compare.needs else nullcontext():
            loss = compare(shown, encoded_goal, canvas.weights, opacity, self._previous_over(background))
            loss.backward()
        error = (shown.detach() - encoded_goal)[..., :3].square().mean()
        # Sprites that are not numbers are not drawn, and the error of what is left looks sound.
        return float(error if loss.detach().isfinite() else loss.detach())

    def _previous_over(self, background: Tensor) -> tuple[Tensor, Tensor] | None:
        """The frame before and its goal over the background of this step, display-encoded."""
        if self.previous is None:
            return None
        rendered, goal = (display_encode(over(picture, background), self.space) for picture in self.previous)
        return rendered, goal

    def enlarged(self, plane: Tensor) -> Float32Array:
        """A plane [h, w] of the canvas at this level, repeated to the full canvas [H, W]."""
        row, column = (np.arange(full) * small // full for full, small in zip(self.size, self.canvas.size, strict=True))
        result: Float32Array = plane.numpy()[row[:, None], column]
        return result
