# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a composition: whole, at any size, or sprite by sprite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..arrays import Float32Array, UInt8Array
from ..colour import out_of_space
from ..files.images import straight_from_premultiplied
from ..raster import composite
from ..raster.atlas import texels_for
from ..raster.geometry import affine_maps, half_sizes
from . import Composition

MAX_SIZE = 32_768
"""Longer side of a rendered picture, pixels."""


def _frame(composition: Composition, frame: int, zoom: float) -> dict[str, torch.Tensor]:
    """One frame's parameters in pixels of the rendered picture, as float64."""
    if not 0 <= frame < composition.frames:
        raise IndexError(f"frame {frame} of {composition.frames}")
    parts = {
        name: torch.from_numpy(getattr(composition, name)[frame].astype(np.float64))
        for name in ("x", "y", "scale", "aspect", "theta", "opacity", "tint")
    }
    for name in ("x", "y", "scale"):
        parts[name] *= zoom
    sizes = torch.tensor([[t.width, t.height] for t in composition.templates], dtype=torch.float64)
    parts["template"] = torch.from_numpy(composition.template).long()
    parts["shape"] = sizes[parts["template"]]
    parts["affine"] = affine_maps(*(parts[name] for name in ("x", "y", "scale", "aspect", "theta", "shape")))
    return parts


def _largest(parts: dict[str, torch.Tensor]) -> int:
    """Texels on the longer side that the largest sprite can show."""
    half = torch.stack(half_sizes(parts["scale"], parts["aspect"], parts["shape"]))
    return texels_for(2 * float(half.max()))


def render(composition: Composition, frame: int = 0, size: int | None = None, back_end: str = "cpu") -> Float32Array:
    """Draw one frame.

    Args:
        frame: 0 to frames - 1.
        size: longer side in pixels, 1 to `MAX_SIZE`; None for the size of the fit.
        back_end: see `smalti.engine.raster.composite`.

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
    parts = _frame(composition, frame, zoom)
    background = composition.background(width, height)
    with torch.no_grad():
        image = composite(
            parts["affine"],
            parts["opacity"],
            parts["tint"],
            parts["template"],
            composition.atlas(_largest(parts)),
            (height, width),
            None if background is None else torch.from_numpy(background),
            header.colour_mix,
            back_end=back_end,
        )
    return image.to(torch.float32).numpy()


def picture(composition: Composition, frame: int = 0, size: int | None = None, back_end: str = "cpu") -> UInt8Array:
    """Like `render`, as [height, width, 4] uint8 with straight alpha, sRGB-encoded: what goes into a PNG."""
    rendered = render(composition, frame, size, back_end)
    return straight_from_premultiplied(out_of_space(rendered, composition.header.blend_space))


@dataclass(frozen=True, eq=False)
class SpriteBitmap:
    """One sprite drawn alone, its opacity not applied, not cut at the canvas's edge.

    Attributes:
        index: position in the stack, 0 at the bottom.
        left, top: where its first pixel lies on the canvas; may be negative.
        rgba: [h, w, 4] float32 premultiplied, in the blend space.
        opacity: 0 to 1.
    """

    index: int
    left: int
    top: int
    rgba: Float32Array
    opacity: float


def sprite_bitmaps(composition: Composition, frame: int = 0) -> Iterator[SpriteBitmap]:
    """Draw each sprite of a frame by itself, bottom of the stack first. One that touches no pixel is 0 x 0."""
    parts = _frame(composition, frame, 1.0)
    atlas = composition.atlas(_largest(parts))
    half = torch.stack(half_sizes(parts["scale"], parts["aspect"], parts["shape"]), dim=1)
    cos, sin = torch.cos(parts["theta"]).abs(), torch.sin(parts["theta"]).abs()
    # The rectangle's bounds, and two pixels for the soft edge, which reaches half a texel further.
    reach = torch.stack([cos * half[:, 0] + sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]], dim=1) + 2
    centre = torch.stack([parts["x"], parts["y"]], dim=1)
    start = torch.floor(centre - reach).long()
    extent = torch.ceil(centre + reach).long() - start
    one = torch.ones(1, dtype=torch.float64)
    for k in range(len(start)):
        (left, top), (width, height) = start[k].tolist(), extent[k].tolist()
        affine = parts["affine"][k : k + 1].clone()
        affine[:, 2] += affine[:, 0] * left + affine[:, 1] * top
        affine[:, 5] += affine[:, 3] * left + affine[:, 4] * top
        with torch.no_grad():  # never around a yield: a caller that stops half-way would leave it switched on
            image = composite(
                affine,
                one,
                parts["tint"][k : k + 1],
                parts["template"][k : k + 1],
                atlas,
                (height, width),
                mix=composition.header.colour_mix,
            )
        rgba = image.numpy()
        drawn = rgba[..., 3] > 0
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        if not len(rows):
            yield SpriteBitmap(k, left, top, rgba[:0, :0], float(parts["opacity"][k]))
            continue
        y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        yield SpriteBitmap(k, left + int(x0), top + int(y0), rgba[y0:y1, x0:x1], float(parts["opacity"][k]))
