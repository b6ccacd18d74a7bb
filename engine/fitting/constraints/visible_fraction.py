# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible fraction of each sprite in the finished picture.

What of it reaches the eye, over what it would show alone at full opacity: the sum over pixels of its alpha times the
transmittance above it (its blending weight), over its area times the mean alpha of its template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...arrays import Float64Array
from ...raster import Atlas, Scene, draw
from ...raster.atlas import texels_for
from ...raster.geometry import affine_maps
from ...sprites import Sprites
from ..strategy.importance import blending_weights_of


@dataclass(frozen=True, eq=False)
class FinishedCanvas:
    """What finished pictures of sprites are drawn with.

    Attributes:
        size: height and width, pixels.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        coverage: [T] mean alpha of each template.
        back_end: what draws.
    """

    size: tuple[int, int]
    atlas_of: Callable[[int], Atlas]
    shapes: Float64Array
    coverage: Float64Array
    back_end: str

    def scene(self, sprites: Sprites) -> Scene[Tensor]:
        """The finished picture of these sprites, in black."""
        longest = 2 * float(sprites.half_sizes(self.shapes).max())
        return Scene(
            sprites.affine(self.shapes),
            torch.from_numpy(sprites.opacity.astype(np.float64)),
            torch.zeros(len(sprites), 3, dtype=torch.float64),
            torch.from_numpy(sprites.template.astype(np.int64)),
            self.atlas_of(texels_for(longest)),
            self.size,
        )

    def visible(self, sprites: Sprites) -> tuple[Float64Array, Float64Array]:
        """[N], [N]: the blending weight of each sprite and what it shows alone, canvas pixels."""
        scene = self.scene(sprites)
        return blending_weights_of(scene, self.back_end).numpy(), self.whole(scene).numpy()

    def visible_fraction(self, sprites: Sprites) -> Float64Array:
        """[N]: how much of each sprite is visible in the finished picture, 0 to 1."""
        weights, whole = self.visible(sprites)
        return weights / whole

    def whole(self, scene: Scene[Tensor]) -> Tensor:
        """[N]: what sprites show alone at full opacity, in pixels of the scene; differentiable in its maps."""
        affine = scene.affine
        determinant = (affine[:, 0] * affine[:, 4] - affine[:, 1] * affine[:, 3]).abs()
        return 4 * torch.from_numpy(self.coverage)[scene.template.long()] / determinant

    def splat(self, sprites: Sprites, values: Float64Array) -> Float64Array:
        """[H, W]: a value of each sprite [N], composited as its color would be."""
        with torch.no_grad():
            image = draw(replace(self.scene(sprites), tint=reds(torch.from_numpy(values))), self.back_end)
        plane: Float64Array = image[..., 0].double().numpy()
        return plane

    def scale_gradient(self, sprites: Sprites, values: Float64Array) -> Float64Array:
        """[N]: how the sum of what `splat` returns grows with the logarithm of each sprite's scale, pixels."""
        log_scale = torch.zeros(len(sprites), dtype=torch.float64, requires_grad=True)
        x, y, scale, aspect, theta = (
            torch.from_numpy(column.astype(np.float64))
            for column in (sprites.x, sprites.y, sprites.scale, sprites.aspect, sprites.theta)
        )
        shape = torch.from_numpy(self.shapes[sprites.template])
        affine = affine_maps(x, y, scale * log_scale.exp(), aspect, theta, shape)
        image = draw(replace(self.scene(sprites), affine=affine, tint=reds(torch.from_numpy(values))), self.back_end)
        (gradient,) = torch.autograd.grad(image[..., 0].sum(), log_scale)
        result: Float64Array = gradient.numpy()
        return result


def reds(values: Tensor) -> Tensor:
    """[N, 3] tints whose red is a value of each sprite [N]."""
    return torch.stack([values, torch.zeros_like(values), torch.zeros_like(values)], dim=1)
