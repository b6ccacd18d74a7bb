# SPDX-License-Identifier: GPL-3.0-or-later
"""What the public functions of the rasteriser hand to a back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

from torch import Tensor

from .atlas import Atlas


@dataclass(frozen=True, eq=False)
class Scene:
    """Sprites and their canvas: the arguments of `smalti.engine.raster.composite`, checked."""

    affine: Tensor
    opacity: Tensor
    tint: Tensor
    template: Tensor
    atlas: Atlas
    size: tuple[int, int]
    background: Tensor | None
    mix: float
    lod_bias: float
    stop: float


@dataclass(frozen=True, eq=False)
class Step:
    """What a fused step is to do.

    Attributes:
        rates: Adam's, by name.
        adam: both decays, and 1 minus their powers by the number of steps.
        goal: [height, width, 4], see `smalti.engine.raster.image_loss`; with a noise key the target alone, transparent
            and not encoded.
        background: [height, width, 4], or None.
        noise_key: instead of a background, the noise of this key (see `smalti.engine.fitting.objective.noise`).
        pixel: width and height of a drawn pixel in canvas pixels.
        encoded, mix, lod_bias: see `smalti.engine.raster.image_loss`.
        alpha_max: opacity of a sprite whose logit is infinite.
        bounds: least and largest log scale, largest logit, and the canvas's width and height.
    """

    rates: Mapping[str, float]
    adam: tuple[float, float, float, float]
    goal: Tensor
    background: Tensor | None
    noise_key: int | None
    pixel: tuple[float, float]
    encoded: bool
    mix: float
    lod_bias: float
    alpha_max: float
    bounds: tuple[float, float, float, float, float]


class FusedStep(Protocol):
    """Whole steps of Adam on `image_loss` (mse), from the parameters to the parameters, that never leave the kernels.

    The result is that of the operations one after another, within rounding. Parameters, means and squares go by name:
    ``x``, ``y``, ``log_scale``, ``theta``, ``opacity`` [N] and ``tint`` [N, 3] float64, as in
    `smalti.engine.fitting.optimiser`. A name without means is locked.
    """

    def bind(
        self,
        parameters: Mapping[str, Tensor],
        means: Mapping[str, Tensor],
        squares: Mapping[str, Tensor],
        template: Tensor,
        extent: Tensor,
    ) -> None:
        """Take these sprites: what a step changes. To be called again after every change from outside.

        Args:
            parameters, means, squares: see above.
            template: [N] index into the atlas.
            extent: [N, 2] half the width and height of a sprite whose scale is 1.
        """
        ...

    def fetch(self) -> None:
        """Bring what the steps have changed into the tensors that were bound, where it is not there already."""
        ...

    def __call__(self, step: Step) -> SupportsFloat:
        """Make one step.

        Returns:
            The loss before the step, over three channels. It may still be on its way: `float` waits for it.
        """
        ...
