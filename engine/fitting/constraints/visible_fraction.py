# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible fraction of each sprite in the finished picture.

What of it reaches the eye, over what it would show alone at full opacity: the sum over pixels of its alpha times the
transmittance above it (its blending weight), over its area times the mean alpha of its template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import AnyArray, Float64Array, Int32Array
from ...raster import Atlas, Scene, draw, drawing
from ...raster.atlas import texels_for
from ...raster.geometry import pose_gradient
from ...sprites import Sprites
from ..strategy.importance import blending_weights_of, one_channel


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

    def scene(self, sprites: Sprites) -> Scene[AnyArray]:
        """The finished picture of these sprites, in black."""
        longest = 2 * float(sprites.half_sizes(self.shapes).max())
        return Scene(
            sprites.affine(self.shapes),
            sprites.opacity.astype(np.float64),
            np.zeros((len(sprites), 3)),
            sprites.template,
            self.atlas_of(texels_for(longest)),
            self.size,
        )

    def visible(self, sprites: Sprites) -> tuple[Float64Array, Float64Array]:
        """[N], [N]: the blending weight of each sprite and what it shows alone, canvas pixels."""
        scene = self.scene(sprites)
        return blending_weights_of(scene, self.back_end), self.whole(scene)

    def visible_fraction(self, sprites: Sprites) -> Float64Array:
        """[N]: how much of each sprite is visible in the finished picture, 0 to 1."""
        weights, whole = self.visible(sprites)
        return weights / whole

    def whole(self, scene: Scene[AnyArray]) -> Float64Array:
        """[N]: what sprites show alone at full opacity, in pixels of the scene."""
        return self.alone(scene.affine, scene.template)

    def alone(self, affine: Float64Array, template: Int32Array) -> Float64Array:
        """[N]: what sprites with these maps [N, 6] show alone at full opacity, in the pixels of the maps."""
        return np.asarray(4 * self.coverage[template] / np.abs(_determinant(affine)))

    def whole_gradient(self, scene: Scene[AnyArray]) -> Float64Array:
        """[N, 6]: the gradient of `whole` by each sprite's own map."""
        a, b, _, d, e, _ = scene.affine.T
        none = np.zeros_like(a)
        by_determinant = -self.whole(scene) / _determinant(scene.affine)
        return np.asarray(by_determinant[:, None] * np.stack([e, -d, none, -b, a, none], axis=1))

    def splat(self, sprites: Sprites, values: Float64Array) -> Float64Array:
        """[H, W]: a value of each sprite [N], composited as its color would be."""
        image = draw(replace(self.scene(sprites), tint=reds(values)), self.back_end)
        return np.asarray(image[..., 0], np.float64)

    def scale_gradient(self, sprites: Sprites, values: Float64Array) -> Float64Array:
        """[N]: how the sum of what `splat` returns grows with the logarithm of each sprite's scale, pixels."""
        scene = replace(self.scene(sprites), tint=reds(values))
        gradients = drawing(scene, self.back_end).gradients(one_channel(np.ones(self.size), 0))
        return pose_gradient(scene.affine, gradients.affine).log_scale


def reds(values: Float64Array) -> Float64Array:
    """[N, 3] tints whose red is a value of each sprite [N]."""
    return np.stack([values, np.zeros_like(values), np.zeros_like(values)], axis=1)


def _determinant(affine: Float64Array) -> Float64Array:
    return affine[:, 0] * affine[:, 4] - affine[:, 1] * affine[:, 3]
