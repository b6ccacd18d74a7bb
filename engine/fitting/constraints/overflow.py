# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of sprites overflows a part of the canvas, measured by the renderer that draws finished pictures.

At a negligible opacity, the gradient of the alpha outside by a sprite's opacity is what that sprite draws there, and
the gradients by its place and angle say how to bring it back. No outline stands in for the bitmap, so strokes, rings
and leaves come as near the edge as their shapes allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...arrays import BoolArray, Float64Array
from ...raster import FINISHED_BACK_END, Atlas, Scene, drawing
from ...raster.atlas import texels_for
from ...raster.geometry import pose_gradient
from ...sprites import Sprites
from ..strategy.importance import one_channel

FINER = 2
"""How many times larger a side than the canvas the picture is in which nothing may be outside either."""


def whole_pixels(fine: BoolArray) -> BoolArray:
    """[H, W]: the pixels of the canvas all of whose quarters are in a plane [2 H, 2 W]."""
    height, width = fine.shape[0] // FINER, fine.shape[1] // FINER
    return np.asarray(fine.reshape(height, FINER, width, FINER).all(axis=(1, 3)))


class Overflow:
    """Measures what sprites draw outside of a part of the canvas.

    Args:
        inside: [2 H, 2 W], see `Region`.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.

    Attributes:
        inside: [H, W], the pixels that are inside.
    """

    NEGLIGIBLE = 1e-5
    """Alpha outside, summed over pixels, below which a sprite is inside: a hundredth of a level of 255."""
    PROBE_OPACITY = 1e-4
    """Low enough that mutual occlusion is negligible."""

    def __init__(self, inside: BoolArray, atlas_of: Callable[[int], Atlas], shapes: Float64Array) -> None:
        self.inside = whole_pixels(inside)
        self._outside = {1: one_channel(~self.inside, 3), FINER: one_channel(~inside, 3)}
        # How many pixels outside lie above and left of each corner: a rectangle holds none if four of these agree.
        self._counts = np.pad(np.cumsum(np.cumsum(~self.inside, axis=0), axis=1), ((1, 0), (1, 0)))
        self._atlas_of, self._shapes = atlas_of, shapes
        self._longer = shapes.max(axis=1)

    def atlases(self, sprites: Sprites) -> dict[int, Atlas]:
        """The templates as the finished pictures of these sprites show them, by the pictures' zoom."""
        half = float(sprites.half_sizes(self._shapes).max())
        return {zoom: self._atlas_of(texels_for(2 * zoom * half)) for zoom in (1, FINER)}

    def is_near(self, sprites: Sprites) -> BoolArray:
        """[M]: which sprites' rectangles hold a pixel outside; the others need no closer look."""
        half = sprites.half_sizes(self._shapes)
        # Half a texel of the coarser level, at either size: see docs/forward-model.md.
        half += 1.0 + (sprites.scale / self._longer[sprites.template])[:, None]
        cos, sin = abs(np.cos(sprites.theta)), abs(np.sin(sprites.theta))
        across, down = cos * half[:, 0] + sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]
        height, width = self.inside.shape
        left, right = (np.clip(sprites.x + sign * across, 0, width) for sign in (-1, 1))
        top, bottom = (np.clip(sprites.y + sign * down, 0, height) for sign in (-1, 1))
        left, top = np.floor(left).astype(int), np.floor(top).astype(int)
        right, bottom = np.ceil(right).astype(int), np.ceil(bottom).astype(int)
        c = self._counts
        near: BoolArray = c[bottom, right] - c[top, right] - c[bottom, left] + c[top, left] > 0
        return near

    def overflows(self, sprites: Sprites, atlases: Mapping[int, Atlas]) -> BoolArray:
        """[M]: which sprites draw outside, in pictures of the zooms in `atlases`."""
        near = self.is_near(sprites)
        if near.any():
            near[near] = self.amount(sprites.take(near), atlases)[0] > self.NEGLIGIBLE
        return near

    def amount(self, sprites: Sprites, atlases: Mapping[int, Atlas]) -> tuple[Float64Array, dict[str, Float64Array]]:
        """What sprites draw outside.

        Returns:
            [M] alpha outside, summed over pixels, and its gradients [M] by ``x``, ``y`` and ``theta``.
        """
        opacity = np.full(len(sprites), self.PROBE_OPACITY)
        no_tint = np.zeros((len(sprites), 3))
        amount: Float64Array = np.zeros(len(sprites))
        by_place: dict[str, Float64Array] = {name: np.zeros(len(sprites)) for name in ("x", "y", "theta")}
        for zoom, atlas in atlases.items():
            outside = self._outside[zoom]
            affine = sprites.zoomed(zoom).affine(self._shapes)
            size = outside.shape[0], outside.shape[1]
            drawn = drawing(Scene(affine, opacity, no_tint, sprites.template, atlas, size, stop=0.0), FINISHED_BACK_END)
            gradients = drawn.gradients(outside)
            pose = pose_gradient(affine, gradients.affine)
            amount += gradients.opacity
            for name, by_pose in (("x", zoom * pose.x), ("y", zoom * pose.y), ("theta", pose.theta)):
                by_place[name] += by_pose / self.PROBE_OPACITY
        return amount, by_place
