# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole step of the optimiser inside the kernels: what a back end that offers it is given, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

from ..arrays import Float32Array, Float64Array, IntegerArray
from .loss import StepLoss

PARAMETERS = ("x", "y", "log_scale", "theta", "opacity", "tint")
"""What a step changes, in the kernels' order. Opacity and tint are logits."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of Adam.

    Attributes:
        learning_rates: by the names in `PARAMETERS`; a parameter with 0 is left exactly as it is.
        adam: both decay rates, and 1 minus their powers by the number of steps.
        goal: [height, width, 4] float32, see `smalti.engine.raster.image_loss`; with a noise key the target alone,
            transparent and not encoded. Goal and background are recognized by their memory: a back end may keep copies.
        background: [height, width, 4] float32, or None.
        noise_key: lays sprites and goal on the noise of this key (see `smalti.engine.fitting.objective.noise`) instead
            of a background.
        pixel: width and height of a drawn pixel in canvas pixels.
        encoded, mix, shade, lod_bias: see `smalti.engine.raster.image_loss` and `Scene`.
        alpha_max: opacity of a sprite whose logit is infinite.
        bounds: least and largest log scale, largest logit, the canvas's width and height, and the least logit of an
            opacity.
        loss: what is minimized; None is `image_loss` (mse). Its arrays are recognized by their memory too.
        scale_in_pixels: the learning rate of log_scale is that of the scale in canvas pixels.
        penalty: the gradient of what is added to the loss, by the maps from drawn pixels [N, 6] and by the opacities
            [N]; None where nothing is. Recognised by its memory between two calls of `FusedStep.bind`.
    """

    learning_rates: Mapping[str, float]
    adam: tuple[float, float, float, float]
    goal: Float32Array
    background: Float32Array | None
    noise_key: int | None
    pixel: tuple[float, float]
    encoded: bool
    mix: float
    lod_bias: float
    alpha_max: float
    bounds: tuple[float, float, float, float, float, float]
    loss: StepLoss | None = None
    shade: float = 0.0
    scale_in_pixels: bool = False
    penalty: tuple[Float64Array, Float64Array] | None = None


@dataclass(frozen=True, eq=False)
class SpriteArrays:
    """The sprites that steps change: parameters and moments in place, at the latest by `FusedStep.fetch`.

    Attributes:
        parameters: by the names in `PARAMETERS`, [N] each, ``tint`` [N, 3].
        means, squares: Adam's first and second moments, likewise; a name that they lack is frozen.
        template: [N] index into the atlas.
        extent: [N, 2] half the width and height of a sprite whose scale is 1, canvas pixels.
        gates: [N] float64, factors of each sprite's learning rates, 0 to 1: one with 0 stays exactly as it is, and
            where there are none but those no work is done. None for 1 everywhere.
    """

    parameters: Mapping[str, Float64Array]
    means: Mapping[str, Float64Array]
    squares: Mapping[str, Float64Array]
    template: IntegerArray
    extent: Float64Array
    gates: Float64Array | None = None

    def __len__(self) -> int:
        return len(self.template)


class FusedStep(Protocol):
    """Whole steps of Adam, from the parameters to the parameters, that never leave the kernels.

    The result is that of the operations one after another, within rounding.
    """

    def bind(self, sprites: SpriteArrays) -> None:
        """Set the sprites that steps change. Call it again after every change from outside."""
        ...

    def fetch(self) -> None:
        """Copy device state back to the bound arrays."""
        ...

    def __call__(self, step: Step) -> SupportsFloat:
        """Make one step.

        Returns:
            The mean squared difference of display-encoded colors before the step, whatever is minimized; only where
            terms written in Python are not finite, their value. It may still be under way on a GPU: `float` waits.
        """
        ...
