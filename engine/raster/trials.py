# SPDX-License-Identifier: GPL-3.0-or-later
"""Sprites that are not there: what each would do if it came, in place of another, on top or at the bottom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .scene import Scene

DRAWN, IN_STACK, ON_TOP, AT_BOTTOM = 0, 1, 2, 3
"""What a sprite of a list is there for, as the kernels count: it is drawn, or tried in one of three places."""

SUMS = 9
"""Numbers of a trial: squares, cross (3), own, tint (3), match."""

SECTIONS = 18
GOLDEN = 0.5 * (5**0.5 - 1)


@dataclass(frozen=True, eq=False)
class Trials:
    """M sprites to try, one at a time.

    Attributes:
        affine: [M, 6], see `smalti.engine.raster.composite`.
        template: [M] index into the atlas.
        replaces: [M] index of the sprite that goes when this one comes, or -1.
        place: [M] where it comes: `IN_STACK` (in the place of the one that goes), `ON_TOP` of the stack or `AT_BOTTOM`.
            One that replaces nothing comes on top.
    """

    affine: Tensor
    template: Tensor
    replaces: Tensor
    place: Tensor

    def __len__(self) -> int:
        return len(self.template)


@dataclass(frozen=True, eq=False)
class Appraisal:
    """What sprites and trials are worth. Errors are those of `image_loss` (mse, not encoded).

    The error with trial j, painted with the opacity o and the tint t, minus that without it and without the sprite that
    it replaces, is with s = o t: squares |s|^2 + 2 o (cross . s) + own o^2 - 2 (tint . s) - 2 match o.

    Attributes:
        removal: [N] what `removal_costs` returns.
        sums: [M, 9] squares, cross (3), own, tint (3), match, divided by the number of the picture's values.
    """

    removal: Tensor
    sums: Tensor


@dataclass(frozen=True, eq=False)
class Listed:
    """Sprites and trials in one list, trials right above the sprites that they replace.

    Attributes:
        scene: the list. Its trials have the opacity 1 and a black tint, which play no part.
        roles: [N + M, 2] int32: what each is there for, and the position in the list of what it replaces, or -1.
        position: [N + M] where in the list the sprites (first) and the trials are.
    """

    scene: Scene
    roles: Tensor
    position: Tensor


def listed(scene: Scene, trials: Trials) -> Listed:
    """Put the trials among the sprites."""
    count, new = len(scene.affine), len(trials)
    replaces, nothing = trials.replaces.long(), trials.replaces < 0
    own = torch.arange(count)
    order = torch.cat([own, torch.where(nothing, count, replaces)]).argsort(stable=True)
    position = torch.empty(count + new, dtype=torch.int64)
    position[order] = torch.arange(count + new)
    gone = torch.where(nothing, -1, position[:count][replaces.clamp(min=0)]) if count else torch.full((new,), -1)
    roles = torch.stack(
        [torch.cat([torch.full((count,), DRAWN), trials.place]), torch.cat([torch.full((count,), -1), gone])], dim=1
    )
    return Listed(
        replace(
            scene,
            affine=torch.cat([scene.affine, trials.affine.to(scene.affine.dtype)])[order],
            opacity=torch.cat([scene.opacity, scene.opacity.new_ones(new)])[order],
            tint=torch.cat([scene.tint, scene.tint.new_zeros(new, 3)])[order],
            template=torch.cat([scene.template, trials.template.to(scene.template.dtype)])[order],
        ),
        roles[order].to(torch.int32).contiguous(),
        position,
    )


def best_paint(sums: Tensor, alpha_max: float, alpha_min: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """How trials are painted best.

    Args:
        sums: [M, 9], see `Appraisal`.
        alpha_max, alpha_min: largest and smallest opacity.

    Returns:
        opacity [M], tint [M, 3] straight, and [M] what the error changes by: at most 0 if they may be transparent.
    """
    squares, cross, own, tint, match = torch.split(sums, [1, 3, 1, 3, 1], dim=1)
    floor = torch.finfo(sums.dtype).tiny

    def at(opacity: Tensor) -> tuple[Tensor, Tensor]:
        """The best premultiplied tint for an opacity, and the change."""
        painted = torch.minimum(((tint - opacity * cross) / squares.clamp(min=floor)).clamp(min=0), opacity)
        change = (painted * (squares * painted + 2 * opacity * cross - 2 * tint)).sum(dim=1, keepdim=True)
        return painted, change + opacity * (opacity * own - 2 * match)

    # A sum of squares is convex in opacity and premultiplied tint, so the least over the tints (0 <= s <= o) is convex
    # in the opacity: golden sections close in on it.
    low, high = torch.full_like(own, alpha_min), torch.full_like(own, alpha_max)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = at(left)[1], at(right)[1]
    for _ in range(SECTIONS):
        falls = at_left > at_right
        low, high = torch.where(falls, left, low), torch.where(falls, high, right)
        # One of the two is where the next section needs it.
        new = torch.where(falls, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        at_new = at(new)[1]
        left, right = torch.where(falls, right, new), torch.where(falls, new, left)
        at_left, at_right = torch.where(falls, at_right, at_new), torch.where(falls, at_new, at_left)
    opacity = 0.5 * (low + high)
    painted, change = at(opacity)
    return opacity.squeeze(1), painted / opacity.clamp(min=floor), change.squeeze(1)
