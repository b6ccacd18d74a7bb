# SPDX-License-Identifier: GPL-3.0-or-later
"""The colors of a GIF: one palette for the whole film, and dithering that stays in its place, as flicker is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..arrays import UInt8Array

COLORS = 255
"""Of a palette; its last entry is transparent."""
PIXELS = 40_000
"""Of each sample, about, that the palette is made of."""
DITHER = 12.0
"""Levels between the darkest and the brightest of the dithering's offsets."""
BAYER = (
    np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) + 0.5
) / 16 - 0.5  # mean 0, from -0.5 to 0.5


@dataclass(frozen=True, eq=False)
class GifColors:
    """A palette.

    Attributes:
        palette: [256, 4] uint8, alpha, red, green and blue.
        image: Pillow's image with these colors.
    """

    palette: UInt8Array
    image: Image.Image

    def indices(self, picture: UInt8Array) -> UInt8Array:
        """[H, W] the palette's entries that a picture [H, W, 4], straight alpha, is shown with."""
        height, width, _ = picture.shape
        offsets = np.tile(BAYER, (-(-height // 4), -(-width // 4)))[:height, :width, None] * DITHER
        dithered = np.clip(np.rint(picture[..., :3] + offsets), 0, 255).astype(np.uint8)
        found = Image.fromarray(dithered).quantize(palette=self.image, dither=Image.Dither.NONE)
        return np.where(picture[..., 3] < 128, COLORS, np.minimum(np.asarray(found), COLORS - 1)).astype(np.uint8)


def gif_colors(samples: Iterable[UInt8Array]) -> GifColors:
    """The palette for a film. `samples`: some of its frames, [H, W, 4], straight alpha."""
    pixels: list[UInt8Array] = [np.zeros((1, 3), np.uint8)]
    for sample in samples:
        seen = sample[sample[..., 3] >= 128]
        pixels.append(seen[:: max(1, len(seen) // PIXELS), :3])
    strip = Image.fromarray(np.concatenate(pixels)[None])
    image = strip.quantize(COLORS, method=Image.Quantize.MEDIANCUT)
    colors = np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:COLORS]
    colors = np.concatenate([colors, np.repeat(colors[-1:], 256 - len(colors), axis=0)])
    image.putpalette(colors.tobytes())
    palette = np.concatenate([np.full((256, 1), 255, np.uint8), colors], axis=1)
    palette[COLORS] = 0
    return GifColors(palette, image)
