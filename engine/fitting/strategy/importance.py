# SPDX-License-Identifier: GPL-3.0-or-later
"""Importance of sprites: the exact error change of removing, replacing or inserting one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ... import raster
from ...arrays import AnyArray, Float32Array, Float64Array, Int64Array
from ...colour import srgb_slope
from ...raster import Candidates, Scene, StackPosition, draw, drawing, evaluate_candidates, optimal_opacity_and_tint
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
    scene = optimiser.scene(shown)
    errors = [
        raster.removal_errors(replace(scene, background=background), goal, optimiser.settings.back_end)
        for background, goal in optimiser.objective.antithetic_backgrounds(optimiser.done)
    ]
    return _mean(errors)


def squared_error(optimiser: Optimiser, shown: Float64Array | float = 1.0) -> Float32Array:
    """[H, W]: the squared error of each pixel now, summed over its channels, times the pixel's weight.

    With what bare background costs, where the job wants cover.

    As fine as the canvas is at the level of now. Opacities are multiplied by `shown`, one number or [N].
    """
    objective = optimiser.objective
    space = objective.space
    scene = optimiser.scene(shown)
    channels = 4 if optimiser.settings.objective.cost_of_bare else 3
    errors = [
        ((display_encode(image, space) - objective.shown(goal))[..., :channels] ** 2).sum(axis=-1)
        for background, goal in objective.antithetic_backgrounds(optimiser.done)
        for image in [draw(replace(scene, background=background), optimiser.settings.back_end)]
    ]
    enlarged = objective.enlarged(_mean(errors))
    return enlarged if objective.weights is None else enlarged * objective.weights


def blending_weights(optimiser: Optimiser) -> Float64Array:
    """[N]: how much of each sprite is visible: alpha times transmittance above it, summed over canvas pixels."""
    weights = blending_weights_of(optimiser.scene(), optimiser.settings.back_end)
    width, height = optimiser.objective.canvas.pixel
    return weights * width * height


def blending_weights_of(scene: Scene[AnyArray], back_end: str) -> Float64Array:
    """[N]: alpha times transmittance above, summed over the pixels of a scene."""
    # A picture's red is linear in the red of each tint, and this is the factor.
    drawn = drawing(scene.tinted(np.zeros((len(scene), 3))), back_end)
    return np.asarray(drawn.gradients(one_channel(np.ones(scene.size), 0)).tint[:, 0])


def one_channel(plane: AnyArray, channel: int) -> Float32Array:
    """[h, w, 4]: a plane [h, w] in one channel, 0 in the others."""
    picture = np.zeros((*plane.shape, 4), np.float32)
    picture[..., channel] = plane
    return picture


def tint_response(optimiser: Optimiser) -> tuple[Float64Array, Float64Array]:
    """How the squared error depends on the tints now, without level-of-detail bias.

    Returns:
        gradient: [N, 3] of the error by the tint.
        curvature: [N] second derivative by a channel of the tint (Gauss-Newton, mean of three), at whole opacity.
    """
    objective = optimiser.objective
    background, goal = objective.background_and_goal(optimiser.done)
    drawn = drawing(replace(optimiser.scene(), background=background), optimiser.settings.back_end)
    is_linear = objective.space == "linear"
    slope = srgb_slope(drawn.image[..., :3]) if is_linear else np.float32(1)
    shown = display_encode(drawn.image, objective.space)[..., :3]
    unit = 2 / shown.size

    def by_tint(by_shown: AnyArray) -> Float64Array:
        by_image = np.zeros(drawn.image.shape, np.float32)
        by_image[..., :3] = by_shown * slope
        return np.asarray(drawn.gradients(by_image).tint)

    difference = shown - objective.shown(goal)[..., :3]
    strength = (1 - optimiser.settings.colour_mix) * optimiser.parameters.opacity
    weights = by_tint(np.broadcast_to(slope, shown.shape)).mean(axis=1)
    return by_tint(unit * difference), unit * strength * weights


def candidates_on_canvas(
    optimiser: Optimiser, sprites: Sprites, replaces: Int64Array, position: Int64Array
) -> Candidates[AnyArray]:
    """M candidates as `evaluate` takes them, on the canvas at the level of now."""
    affine = optimiser.objective.on_canvas(sprites.affine(optimiser.shapes))
    return Candidates(affine, sprites.template, replaces, position)


def evaluate(
    optimiser: Optimiser, sprites: Sprites, replaces: Int64Array, position: Int64Array, alpha_min: float = 0.0
) -> OptimalCandidates:
    """Evaluate M candidates, each alone, as `removal_errors` does.

    Args:
        sprites: the candidates; their opacities and tints play no part.
        replaces: [M] which sprite each would replace, or -1.
        position: [M] where in the stack each would come, of `smalti.engine.raster.StackPosition`.
        alpha_min: least opacity, where that of the fit is not higher.
    """
    candidates = candidates_on_canvas(optimiser, sprites, replaces, position)
    settings = optimiser.settings
    scene = optimiser.scene()
    scores = [
        evaluate_candidates(replace(scene, background=background), goal, candidates, settings.back_end)
        for background, goal in optimiser.objective.antithetic_backgrounds(optimiser.done)
    ]
    # The coefficients are factors of squared errors, so their means are those of the mean error.
    coefficients = _mean([each.coefficients for each in scores])
    least = max(alpha_min, settings.alpha_min)
    opacity, tint, change = optimal_opacity_and_tint(coefficients, settings.alpha_max, least)
    removal = _mean([each.removal_errors for each in scores])
    without = np.where(replaces < 0, 0.0, removal[np.maximum(replaces, 0)])
    return OptimalCandidates(-without - change, opacity, tint)


def retint(optimiser: Optimiser, far: float) -> int:
    """Give sprites whose tint is wrong the one that suits them best where they are. Returns how many change.

    A tint that has come to its bound comes back from there in many steps only.

    Args:
        optimiser: at the step.
        far: from which difference of a channel on, 0 to 1, a tint is wrong.
    """
    now = optimiser.parameters.placed()
    everyone = np.arange(len(now))
    found = evaluate(optimiser, now, everyone, np.full(len(now), StackPosition.IN_PLACE), optimiser.settings.alpha_max)
    which = np.flatnonzero((found.gain > 0) & (np.abs(found.tint - now.tint).max(axis=1) > far))
    if len(which):
        optimiser.parameters.set(which, replace(now.take(which), tint=found.tint[which]))
    return len(which)


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


def _mean(arrays: list[AnyArray]) -> AnyArray:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays).mean(axis=0)
