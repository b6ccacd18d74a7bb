# SPDX-License-Identifier: GPL-3.0-or-later
"""Importance of sprites: the exact error change of removing, replacing or inserting one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ... import raster
from ...arrays import Float32Array, Float64Array, Int64Array
from ...raster import Candidates, Scene, draw, evaluate_candidates, optimal_opacity_and_tint
from ...sprites import Sprites
from ..objective.canvas import display_encode
from ..optimiser import Optimiser


@dataclass(frozen=True, eq=False)
class OptimalCandidates:
    """What candidates would do to the loss, each with the opacity and tint that suit it best.

    Attributes:
        gain: [M] by how much the loss would fall; below 0 where it would grow.
        opacity: [M] the optimal one, 0 to alpha_max.
        tint: [M, 3] the optimal one, in the blend space, 0 to 1.
    """

    gain: Float64Array
    opacity: Float64Array
    tint: Float64Array


def removal_errors(optimiser: Optimiser, shown: Float64Array | float = 1.0) -> Float64Array:
    """[N]: by how much the loss would grow without each sprite (see `smalti.engine.raster.removal_errors`).

    Measured in the blend space: in linear light, dark parts weigh less here than in the loss. Opacities are multiplied
    by `shown`, one number or [N].
    """
    with torch.no_grad():
        scene = optimiser.scene(shown)
        errors = [
            raster.removal_errors(replace(scene, background=background), goal, optimiser.settings.back_end)
            for background, goal in optimiser.objective.antithetic_backgrounds(optimiser.done)
        ]
    result: Float64Array = _mean(errors).numpy()
    return result


def squared_error(optimiser: Optimiser, shown: Float64Array | float = 1.0) -> Float32Array:
    """[H, W]: the squared error of each pixel now, summed over its channels, times the pixel's weight.

    As fine as the canvas is at the level of now. Opacities are multiplied by `shown`, one number or [N].
    """
    objective = optimiser.objective
    space = objective.space
    with torch.no_grad():
        scene = optimiser.scene(shown)
        errors = [
            (display_encode(image, space) - display_encode(goal, space))[..., :3].square().sum(dim=-1)
            for background, goal in objective.antithetic_backgrounds(optimiser.done)
            for image in [draw(replace(scene, background=background), optimiser.settings.back_end)]
        ]
    enlarged = objective.enlarged(_mean(errors))
    return enlarged if objective.weights is None else enlarged * objective.weights


def blending_weights(optimiser: Optimiser) -> Float64Array:
    """[N]: how much of each sprite is visible: alpha times transmittance above it, summed over canvas pixels."""
    weights = blending_weights_of(optimiser.scene(), optimiser.settings.back_end)
    width, height = optimiser.objective.canvas.pixel
    result: Float64Array = weights.numpy() * width * height
    return result


def blending_weights_of(scene: Scene[Tensor], back_end: str) -> Tensor:
    """[N]: alpha times transmittance above, summed over the pixels of a scene; a constant."""
    # A picture's red is linear in the red of each tint, and this is the factor.
    tint = torch.zeros(len(scene), 3, dtype=torch.float64, requires_grad=True)
    constant = replace(scene, affine=scene.affine.detach(), opacity=scene.opacity.detach(), tint=tint, mix=0.0)
    with torch.enable_grad():
        image = draw(constant, back_end)
        (gradient,) = torch.autograd.grad(image[..., 0].sum(), tint)
    return gradient[:, 0]


def tint_response(optimiser: Optimiser, probes: int, seed: int) -> tuple[Float64Array, Float64Array]:
    """How the squared error depends on the tints now, without level-of-detail bias.

    Args:
        probes: random pictures from which the curvature is estimated.
        seed: of these.

    Returns:
        gradient: [N, 3] of the error by the tint.
        curvature: [N] second derivative by a channel of the tint, the mean of the three (Gauss-Newton).
    """
    objective = optimiser.objective
    background, goal = objective.background_and_goal(optimiser.done)
    scene = optimiser.scene()
    tint = scene.tint.detach().requires_grad_()
    scene = replace(
        scene, affine=scene.affine.detach(), opacity=scene.opacity.detach(), tint=tint, background=background
    )
    shown = display_encode(draw(scene, optimiser.settings.back_end), objective.space)[..., :3]
    unit = 2 / shown.numel()
    difference = (shown - display_encode(goal, objective.space)[..., :3]).detach()
    (gradient,) = torch.autograd.grad(shown, tint, unit * difference, retain_graph=True)
    rng = np.random.default_rng(seed)
    squares = torch.zeros_like(gradient)
    for _ in range(probes):
        signs = torch.from_numpy(rng.choice(np.array([-1, 1], np.float32), shown.shape))
        squares += torch.autograd.grad(shown, tint, signs, retain_graph=True)[0].square()
    return gradient.numpy(), (unit / probes) * squares.mean(dim=1).numpy()


def evaluate(
    optimiser: Optimiser, sprites: Sprites, replaces: Int64Array, position: Int64Array, alpha_min: float = 0.0
) -> OptimalCandidates:
    """Evaluate M candidates, each alone, as `removal_errors` does.

    Args:
        sprites: the candidates; their opacities and tints play no part.
        replaces: [M] which sprite each would replace, or -1.
        position: [M] where in the stack each would come, of `smalti.engine.raster.StackPosition`.
        alpha_min: least opacity.
    """
    candidates = Candidates(
        optimiser.objective.on_canvas(sprites.affine(optimiser.shapes)),
        torch.from_numpy(sprites.template),
        torch.from_numpy(replaces),
        torch.from_numpy(position),
    )
    settings = optimiser.settings
    with torch.no_grad():
        scene = optimiser.scene()
        scores = [
            evaluate_candidates(replace(scene, background=background), goal, candidates, settings.back_end)
            for background, goal in optimiser.objective.antithetic_backgrounds(optimiser.done)
        ]
    # The coefficients are factors of squared errors, so their means are those of the mean error.
    coefficients = _mean([each.coefficients for each in scores]).numpy()
    opacity, tint, change = optimal_opacity_and_tint(coefficients, settings.alpha_max, alpha_min)
    removal = _mean([each.removal_errors for each in scores]).numpy()
    without = np.where(replaces < 0, 0.0, removal[np.maximum(replaces, 0)])
    return OptimalCandidates(-without - change, opacity, tint)


def pruned_sprites(optimiser: Optimiser, rounds: int) -> Sprites:
    """The sprites now, but never worse than the bare background, the best there is where a target is flat.

    Where they are worse, those that raise the error get opacity 0; one by one only, though often they are many. A fit
    for structure wants another measure and is left alone.
    """
    sprites = optimiser.sprites()
    if not optimiser.settings.objective.is_per_pixel:
        return sprites
    optimiser.objective.use_level(1)
    shown = np.ones(len(sprites))
    bare = squared_error(optimiser, 0 * shown).mean(dtype=np.float64)
    for _ in range(rounds):
        if squared_error(optimiser, shown).mean(dtype=np.float64) <= bare:
            break
        shown *= removal_errors(optimiser, shown) > 0
    else:
        shown *= 0
    return replace(sprites, opacity=sprites.opacity * shown.astype(np.float32))


def _mean(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(dim=0)
