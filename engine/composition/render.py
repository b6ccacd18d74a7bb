# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a composition: of a whole frame at any size, or sprite by sprite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32Array, UInt8Array
from ..colour import out_of_space
from ..files.images import straight_from_premultiplied
from ..raster import FINISHED_BACK_END, Scene, draw
from ..raster.atlas import texels_for
from . import Composition

MAX_SIZE = 32_768
"""Longest side of a rendered picture, pixels."""


def scene_of(composition: Composition, frame: int, zoom: float, size: tuple[int, int]) -> Scene[NDArray[Any]]:
    """One frame on a canvas of `size` (height, width), `zoom` times larger a side, without a background.

    Raises:
        IndexError: there is no such frame.
    """
    sprites = composition.sprites(frame).double().zoomed(zoom)
    longest = 2 * float(sprites.half_sizes(composition.shapes).max())
    return Scene(
        sprites.affine(composition.shapes),
        sprites.opacity,
        sprites.tint,
        sprites.template,
        composition.atlas(texels_for(longest)),
        size,
        mix=composition.header.colour_mix,
    )


def render(
    composition: Composition, frame: int = 0, size: int | None = None, back_end: str = FINISHED_BACK_END
) -> Float32Array:
    """Render one frame.

    Args:
        composition: what to render.
        frame: 0 to frames - 1.
        size: longer side in pixels, 1 to `MAX_SIZE`; None for the size of the fit.
        back_end: name of the rasterizer's back end (see `smalti.engine.raster.BACK_ENDS`).

    Returns:
        [height, width, 4] premultiplied, in the composition's blend space.

    Raises:
        ValueError: the size is out of range.
        IndexError: there is no such frame.
    """
    header = composition.header
    longer = max(header.width, header.height)
    size = longer if size is None else size
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"size must be from 1 to {MAX_SIZE} pixels, not {size}")
    zoom = size / longer
    width, height = max(1, round(header.width * zoom)), max(1, round(header.height * zoom))
    scene = scene_of(composition, frame, zoom, (height, width))
    background = composition.background(width, height)
    return draw(replace(scene, background=background), back_end).astype(np.float32, copy=False)


def picture(
    composition: Composition, frame: int = 0, size: int | None = None, back_end: str = FINISHED_BACK_END
) -> UInt8Array:
    """Like `render`, as [height, width, 4] uint8 with straight alpha, sRGB-encoded: what goes into a PNG."""
    rendered = render(composition, frame, size, back_end)
    return straight_from_premultiplied(out_of_space(rendered, composition.header.blend_space))


@dataclass(frozen=True, eq=False)
class SpriteBitmap:
    """One sprite rendered by itself, without its opacity, not clipped to the canvas.

    Attributes:
        index: position in the stack, 0 at the bottom.
        left, top: canvas position of its top left pixel, pixels; may be negative.
        rgba: [h, w, 4] premultiplied, in the blend space.
        opacity: 0 to 1.
    """

    index: int
    left: int
    top: int
    rgba: Float32Array
    opacity: float


def sprite_bitmaps(composition: Composition, frame: int = 0) -> Iterator[SpriteBitmap]:
    """Render each sprite of a frame by itself, from the bottom of the stack. One that covers no pixel is 0 x 0."""
    sprites = composition.sprites(frame).double()
    whole = scene_of(composition, frame, 1.0, (1, 1))
    half = sprites.half_sizes(composition.shapes)
    cos, sin = np.abs(np.cos(sprites.theta)), np.abs(np.sin(sprites.theta))
    # The rotated rectangle's bounds, and two pixels for the soft edge, which extends half a texel beyond it.
    reach = np.stack([cos * half[:, 0] + sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]], axis=1) + 2
    center = np.stack([sprites.x, sprites.y], axis=1)
    start = np.floor(center - reach).astype(np.int64)
    extent = np.ceil(center + reach).astype(np.int64) - start
    for k in range(len(sprites)):
        (left, top), (width, height) = start[k].tolist(), extent[k].tolist()
        one = slice(k, k + 1)
        affine = whole.affine[one].copy()
        affine[:, 2] += affine[:, 0] * left + affine[:, 1] * top
        affine[:, 5] += affine[:, 3] * left + affine[:, 4] * top
        alone = replace(
            whole,
            affine=affine,
            opacity=np.ones(1),
            tint=whole.tint[one],
            template=whole.template[one],
            size=(height, width),
        )
        rgba = draw(alone, FINISHED_BACK_END)
        opacity = float(sprites.opacity[k])
        drawn = rgba[..., 3] > 0
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        if not len(rows):
            yield SpriteBitmap(k, left, top, rgba[:0, :0], opacity)
            continue
        y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        yield SpriteBitmap(k, left + int(x0), top + int(y0), rgba[y0:y1, x0:x1], opacity)
