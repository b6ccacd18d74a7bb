# SPDX-License-Identifier: GPL-3.0-or-later
"""What sprites are worth, those that an optimiser has and those that it might have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import raster
from ...raster import Candidates, Scene, draw, evaluate_candidates, optimal_opacity_and_tint
from ...raster.geometry import affine_maps
from ..objective.canvas import over, seen
from ..optimiser import LOSS, Optimiser

CULLS = 6
"""How often sprites that do harm are faded out, at most, before all are."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What sprites would do that are not there.

    Attributes:
        gain: [M] by how much the loss would fall; below 0 where it would grow.
        opacity: [M] the best for it, 0 to alpha_max.
        tint: [M, 3] the best for it, in the blend space, 0 to 1.
    """

    gain: NDArray[np.float64]
    opacity: NDArray[np.float64]
    tint: NDArray[np.float64]


def removal_costs(optimiser: Optimiser, shown: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
    """[N]: by how much the loss would grow without each sprite (see `smalti.engine.raster.removal_errors`).

    Measured in the blend space: in linear light, dark parts weigh less here than in the loss. Opacities are multiplied
    by `shown`, one number or [N].
    """
    settings = optimiser.settings
    with torch.no_grad():
        drawn = optimiser.drawn(shown)
        costs = [
            raster.removal_errors(
                Scene(*drawn, optimiser.canvas.size, background, settings.colour_mix), goal, settings.back_end
            )
            for background, goal in _fair_grounds(optimiser)
        ]
    return LOSS * _mean(costs).numpy()


def squared_error(optimiser: Optimiser, shown: NDArray[np.float64] | float = 1.0) -> NDArray[np.float32]:
    """[H, W]: the squared error of each pixel now, summed over its colours, times what the pixel counts.

    As fine as the canvas is now. Opacities are multiplied by `shown`, one number or [N].
    """
    settings, space = optimiser.settings, optimiser.settings.blend_space
    with torch.no_grad():
        drawn = optimiser.drawn(shown)
        errors = [
            (seen(image, space) - seen(goal, space))[..., :3].square().sum(dim=-1)
            for background, goal in _fair_grounds(optimiser)
            for image in [
                draw(Scene(*drawn, optimiser.canvas.size, background, settings.colour_mix), settings.back_end)
            ]
        ]
    row, column = (
        np.arange(full) * small // full for full, small in zip(optimiser.size, optimiser.canvas.size, strict=True)
    )
    enlarged: NDArray[np.float32] = _mean(errors).numpy()[row[:, None], column]
    return enlarged if optimiser.weights is None else enlarged * optimiser.weights


def contributions(optimiser: Optimiser) -> NDArray[np.float64]:
    """[N]: how much of each sprite is seen: its alpha times the transmittance above it, summed over pixels."""
    affine, opacity, tint, template, atlas = optimiser.drawn()
    affine, opacity = affine.detach(), opacity.detach()
    # A picture's red is linear in the red of each tint, and this is the factor.
    red = torch.zeros_like(tint, requires_grad=True)
    scene = Scene(affine, opacity, red, template, atlas, optimiser.canvas.size)
    image = draw(scene, optimiser.settings.back_end)
    (slope,) = torch.autograd.grad(image[..., 0].sum(), red)
    width, height = optimiser.canvas.pixel
    return slope[:, 0].numpy() * width * height


def tint_response(optimiser: Optimiser, probes: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the loss depends on the tints now, without blur.

    Args:
        probes: random pictures from which the curvature is estimated.
        seed: of these.

    Returns:
        slope: [N, 3] of the loss by the tint.
        curvature: [N] second derivative by a channel of the tint, the mean of the three (Gauss and Newton's).
    """
    background, goal = optimiser.ground()
    space, size = optimiser.settings.blend_space, optimiser.canvas.size
    affine, opacity, tint, template, atlas = optimiser.drawn()
    tint = tint.detach().requires_grad_()
    shown = seen(
        draw(
            Scene(
                affine.detach(),
                opacity.detach(),
                tint,
                template,
                atlas,
                size,
                background,
                optimiser.settings.colour_mix,
            ),
            optimiser.settings.back_end,
        ),
        space,
    )[..., :3]
    unit = 2 / shown.numel()
    (slope,) = torch.autograd.grad(shown, tint, unit * (shown - seen(goal, space)[..., :3]).detach(), retain_graph=True)
    rng = np.random.default_rng(seed)
    squares = torch.zeros_like(slope)
    for _ in range(probes):
        signs = torch.from_numpy(rng.choice(np.array([-1, 1], np.float32), shown.shape))
        squares += torch.autograd.grad(shown, tint, signs, retain_graph=True)[0].square()
    return slope.numpy(), (unit / probes) * squares.mean(dim=1).numpy()


def try_out(
    optimiser: Optimiser,
    sprites: Mapping[str, NDArray[Any]],
    of: NDArray[np.int64],
    place: NDArray[np.int64],
    alpha_min: float = 0.0,
) -> Trial:
    """What M others would do, one at a time. Measured as `removal_costs` are.

    Args:
        sprites: ``template``, ``x``, ``y``, ``scale``, ``aspect``, ``theta``, see `start`.
        of: [M] which sprite each would replace, or -1.
        place: [M] where in the stack it would come, see `smalti.engine.raster.StackPosition`.
        alpha_min: least opacity.
    """
    template = torch.from_numpy(sprites["template"])
    x, y, scale, aspect, theta = (
        torch.from_numpy(sprites[name].astype(np.float64)) for name in ("x", "y", "scale", "aspect", "theta")
    )
    affine = optimiser.on_canvas(affine_maps(x, y, scale, aspect, theta, optimiser.shapes[template.long()]))
    replaces = torch.from_numpy(of)
    settings = optimiser.settings
    with torch.no_grad():
        found = [
            evaluate_candidates(
                Scene(*optimiser.drawn(), optimiser.canvas.size, background, settings.colour_mix),
                goal,
                Candidates(affine, template, replaces, torch.from_numpy(place)),
                settings.back_end,
            )
            for background, goal in _fair_grounds(optimiser)
        ]
        # The sums are factors of squared errors, so their means are those of the mean error.
        coefficients = _mean([each.coefficients for each in found]).numpy()
        opacity, tint, change = optimal_opacity_and_tint(coefficients, settings.alpha_max, alpha_min)
        removal = _mean([each.removal_errors for each in found]).numpy()
        gone = np.where(of < 0, 0.0, removal[np.maximum(of, 0)])
    return Trial(LOSS * (-gone - change), opacity, tint)


def sprites_to_show(optimiser: Optimiser) -> dict[str, NDArray[Any]]:
    """As `sprites`, but never worse than the bare background, which is the best there is where a target is flat.

    Where they are worse, those that do harm are faded out; those are many at times, and one by one only.
    A fit for structure wants another measure and is left alone.
    """
    sprites = optimiser.sprites()
    if not optimiser.settings.aim.is_by_pixels:
        return sprites
    optimiser.use_canvas(1)
    shown = np.ones(len(sprites["template"]))
    bare = squared_error(optimiser, 0 * shown).mean(dtype=np.float64)
    for _ in range(CULLS):
        if squared_error(optimiser, shown).mean(dtype=np.float64) <= bare:
            break
        shown *= removal_costs(optimiser, shown) > 0
    else:
        shown *= 0
    return sprites | {"opacity": sprites["opacity"] * shown.astype(np.float32)}


def _fair_grounds(optimiser: Optimiser) -> list[tuple[Tensor, Tensor]]:
    """As `_ground`, for judging sprites: noise comes with its negative.

    Of many small sprites that are tried over a covered hole, some match any one noise by chance; none matches both.
    """
    background, goal = optimiser.ground()
    if optimiser.canvas.background is not None:
        return [(background, goal)]
    negative = torch.cat([1 - background[..., :3], background[..., 3:]], dim=-1)
    return [(background, goal), (negative, over(optimiser.canvas.target, negative))]


def _mean(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(dim=0)
