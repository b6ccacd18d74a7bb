# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a composition: of a whole frame at any size, or sprite by sprite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.job import BlendSpace

from ..arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from ..colour import out_of_space
from ..files.images import straight_from_premultiplied
from ..files.strips import Strips
from ..raster import FINISHED_BACK_END, Atlas, Scene, draw
from ..raster.scene import STRIP_ROWS
from ..sprites import Sprites
from . import Composition

MAX_SIZE = 32_768
"""Longest side of a rendered picture, pixels."""


def scene_of(
    composition: Composition, frame: int, zoom: float, size: tuple[int, int], atlas: Atlas | None = None
) -> Scene[NDArray[Any]]:
    """One frame on a canvas of `size` (height, width), `zoom` times larger a side, without a background.

    Args:
        atlas: of the templates; None for one with all that the sprites can show.

    Raises:
        IndexError: there is no such frame.
    """
    return scene_with(composition, composition.sprites(frame).double().zoomed(zoom), size, atlas)


def scene_with(
    composition: Composition, sprites: Sprites, size: tuple[int, int], atlas: Atlas | None = None
) -> Scene[NDArray[Any]]:
    """`scene_of`, with these sprites, float64, instead of those of a frame."""
    return Scene(
        sprites.affine(composition.shapes),
        sprites.opacity,
        sprites.tint,
        sprites.template,
        composition.atlas_showing(sprites) if atlas is None else atlas,
        size,
        mix=composition.header.colour_mix,
        shade=composition.header.shade,
    )


def canvas_of(composition: Composition, size: int | None) -> tuple[float, int, int]:
    """How much larger a side than the fit's a picture is, and its width and height in pixels.

    Args:
        size: longer side in pixels, 1 to `MAX_SIZE`; None for the size of the fit.

    Raises:
        ValueError: the size is out of range.
    """
    header = composition.header
    longer = max(header.width, header.height)
    size = longer if size is None else size
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"size must be from 1 to {MAX_SIZE} pixels, not {size}")
    zoom = size / longer
    return zoom, max(1, round(header.width * zoom)), max(1, round(header.height * zoom))


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
    zoom, width, height = canvas_of(composition, size)
    scene = scene_of(composition, frame, zoom, (height, width))
    background = composition.background(width, height)
    pixels = None if background is None else background.make(range(height))
    return draw(replace(scene, background=pixels), back_end).astype(np.float32, copy=False)


def render_strips(composition: Composition, frame: int = 0, size: int | None = None) -> Strips[np.float32]:
    """What `render` returns, to the same bits, but composited strip by strip, for pictures of any size.

    Raises:
        ValueError, IndexError: as `render`.
    """
    zoom, width, height = canvas_of(composition, size)
    return drawn_in_strips(scene_of(composition, frame, zoom, (height, width)), composition.background(width, height))


def drawn_in_strips(scene: Scene[NDArray[Any]], background: Strips[np.float32] | None = None) -> Strips[np.float32]:
    """The picture of a scene over another one of its size."""

    def make(rows: range) -> Float32Array:
        pixels = None if background is None else background.make(rows)
        strip = replace(scene, size=(len(rows), width), first_row=rows.start, background=pixels)
        return draw(strip, FINISHED_BACK_END)

    height, width = scene.size
    return Strips(height, width, make, STRIP_ROWS)


def preview(composition: Composition, atlas: Atlas, back_end: str) -> UInt8Array:
    """The picture of the first frame, as `picture`, from an atlas that is there already."""
    header = composition.header
    size = (header.height, header.width)
    background = composition.background(header.width, header.height)
    pixels = None if background is None else background.make(range(header.height))
    drawn = draw(replace(scene_of(composition, 0, 1.0, size, atlas), background=pixels), back_end)
    return _as_in_files(drawn.astype(np.float32, copy=False), header.blend_space)


def picture(
    composition: Composition, frame: int = 0, size: int | None = None, back_end: str = FINISHED_BACK_END
) -> UInt8Array:
    """Like `render`, as [height, width, 4] uint8 with straight alpha, sRGB-encoded: what goes into a PNG."""
    if back_end == FINISHED_BACK_END:
        return picture_strips(composition, frame, size).whole()
    return _as_in_files(render(composition, frame, size, back_end), composition.header.blend_space)


def picture_strips(composition: Composition, frame: int = 0, size: int | None = None) -> Strips[np.uint8]:
    """What `picture` returns, strip by strip. Raises as `render_strips`."""
    space = composition.header.blend_space
    return render_strips(composition, frame, size).map(lambda strip: _as_in_files(strip, space))


def _as_in_files(rendered: Float32Array, space: BlendSpace) -> UInt8Array:
    return straight_from_premultiplied(out_of_space(rendered, space))


@dataclass(frozen=True, eq=False)
class SpriteBitmap:
    """One sprite rendered by itself, without its opacity, not clipped to the canvas.

    Attributes:
        index: position in the stack, 0 at the bottom.
        left, top: canvas position of its top left pixel, pixels; may be negative.
        strips: [h, w, 4] premultiplied, in the blend space; transparent on all sides.
        opacity: 0 to 1.
    """

    index: int
    left: int
    top: int
    strips: Strips[np.float32]
    opacity: float

    @cached_property
    def rgba(self) -> Float32Array:
        """`strips` in one piece."""
        return self.strips.whole()


def pixel_boxes(sprites: Sprites, shapes: Float64Array) -> tuple[Int64Array, Int64Array]:
    """Where sprites are drawn: left and top, width and height of their boxes, [N, 2] each, canvas pixels.

    Args:
        shapes: [T, 2] width and height of each template.
    """
    half = sprites.half_sizes(shapes)
    cos, sin = np.abs(np.cos(sprites.theta)), np.abs(np.sin(sprites.theta))
    # The rotated rectangle's bounds, and two pixels for the soft edge, which extends half a texel beyond it.
    reach = np.stack([cos * half[:, 0] + sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]], axis=1) + 2
    center = np.stack([sprites.x, sprites.y], axis=1)
    start = np.floor(center - reach).astype(np.int64)
    return start, np.ceil(center + reach).astype(np.int64) - start


def sprite_bitmaps(composition: Composition, frame: int = 0, size: int | None = None) -> Iterator[SpriteBitmap]:
    """Render each sprite of a frame by itself, from the bottom of the stack.

    Args:
        size: longer side of the canvas, as for `render`.

    Raises:
        ValueError, IndexError: as `render`.
    """
    zoom, _, _ = canvas_of(composition, size)
    sprites = composition.sprites(frame).double().zoomed(zoom)
    whole = scene_of(composition, frame, zoom, (1, 1))
    start, extent = pixel_boxes(sprites, composition.shapes)
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
        yield SpriteBitmap(k, left, top, drawn_in_strips(alone), float(sprites.opacity[k]))
