# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job as a layered PSD: one trimmed layer per sprite, its opacity on the layer, over a background layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import Float32Array, UInt8Array
from ..composition import Composition, load_composition
from ..composition.render import SpriteBitmap, canvas_of, render_strips, sprite_bitmaps
from ..files.atomic import write_atomic
from ..files.images import straight_from_premultiplied
from .psd_file import Layer, write_psd

_FAINT = 32
"""Opacity (of 255) below which it takes many layers to make a picture, so that errors of rounding it to 8 bits would
add up to a visible one. Such opacities are rounded up, and the pixels' alpha is reduced to make up for it."""


def write(job: Path, path: Path, frame: int, size: int | None = None) -> None:
    """Write one frame of the job in the folder `job` as a PSD file, in one step.

    Image editors composite sRGB-encoded values, so the layers give the job's picture in the blend space ``"srgb"``
    only; a ``"linear"`` job is refused. A sprite gets no layer if nothing of it is visible at 8 bits: its opacity
    rounds to 0, or it lies off the canvas. One that is partly on the canvas keeps its pixels beyond the edge. The layer
    has the sprite's opacity, and its pixels their alpha at full range, unless the opacity is faint (see `_FAINT`).

    Args:
        frame: which frame of a film, from 0. Frames never become layers of one file.
        size: longer side of the canvas in pixels; None for the size of the fit. Layers are drawn at that size.

    Raises:
        SmaltiError: the folder holds no finished composition, or a damaged one; it blends in ``"linear"`` (code
            ``"blend_space"``); there is no such frame (code ``"no_such_frame"``); there are too many layers, or the
            canvas or the file would be too large (see `write_psd`); it cannot be written (code ``"cannot_write"``).
        ValueError: the size is out of range (see `smalti.engine.composition.render.MAX_SIZE`).
    """
    composition = load_composition(job)
    header = composition.header
    if header.blend_space != "srgb":
        raise SmaltiError(
            f"{job}: was fitted in the blend space {header.blend_space!r}, and a PSD of it would look different, "
            "because image editors composite in sRGB.",
            "Fit again in the blend space srgb (--blend-space srgb).",
            "blend_space",
        )
    if not 0 <= frame < header.frames:
        # Users count frames from 1, as the files in render/ do.
        raise SmaltiError(f"{job}: has no frame {frame + 1}.", f"Its frames are 1 to {header.frames}.", "no_such_frame")
    merged = render_strips(composition, frame, size)
    write_atomic(
        path,
        lambda stream: write_psd(
            stream, _layers(composition, frame, size), merged, scratch=path.parent, name=str(path)
        ),
    )


def _layers(composition: Composition, frame: int, size: int | None) -> Iterator[Layer]:
    """The layers of a frame, from the bottom: the background, where it is not transparent, and the visible sprites."""
    _, width, height = canvas_of(composition, size)
    background = composition.background(width, height)
    if background is not None:
        yield Layer("Background", 0, 0, background.map(straight_from_premultiplied))
    digits = max(4, len(str(composition.header.sprites)))
    for sprite in sprite_bitmaps(composition, frame, size):
        template = composition.templates[composition.template[sprite.index]]
        name = f"{sprite.index + 1:0{digits}d} {template.name}"
        layer = _layer(name, sprite, width, height)
        if layer is not None:
            yield layer


def _layer(name: str, sprite: SpriteBitmap, width: int, height: int) -> Layer | None:
    """The sprite as a layer, trimmed to its alpha; None where 8 bits show nothing of it on a canvas of this size."""
    opacity = 255 * sprite.opacity
    if opacity < 0.5:
        return None
    level = math.ceil(opacity) if opacity < _FAINT else round(opacity)

    def in_eight_bits(strip: Float32Array) -> UInt8Array:
        rgba = straight_from_premultiplied(strip)
        if opacity < _FAINT:
            alpha = np.rint(strip[..., 3] * (255 * opacity / level))
            rgba[..., 3] = np.where(rgba[..., 3] > 0, alpha, 0)
        return rgba

    rgba = sprite.strips.map(in_eight_bits).whole()
    if not rgba[_canvas_part(sprite, width, height)][..., 3].any():
        return None
    rows, columns = np.flatnonzero(rgba[..., 3].any(axis=1)), np.flatnonzero(rgba[..., 3].any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    rgba = rgba[top : rows[-1] + 1, left : columns[-1] + 1]
    return Layer(name, sprite.left + left, sprite.top + top, rgba, level)


def _canvas_part(sprite: SpriteBitmap, width: int, height: int) -> tuple[slice, slice]:
    """The rows and columns of the sprite's pixels that lie on the canvas."""
    return (
        slice(max(0, -sprite.top), max(0, height - sprite.top)),
        slice(max(0, -sprite.left), max(0, width - sprite.left)),
    )
