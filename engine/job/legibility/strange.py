# SPDX-License-Identifier: GPL-3.0-or-later
"""Strange templates: shapes that are drawn here, among which a sprite's own is looked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...arrays import BoolArray, Float32Array, Float64Array
from ...raster import Atlas, build_atlas

SIDE = 96
"""Pixels at which shapes are drawn."""
REDUCED = 2
"""Pixels of a drawn shape, a side, that make one texel."""
PATCHES = 5
"""Patches of color a side."""
LETTERS = "AgS5R&8"

Shape = Callable[[Float64Array, Float64Array], BoolArray]
"""Whether points are inside, by x and y from -1 to 1, y down."""


def _polar(x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    return np.hypot(x, y), np.arctan2(y, x)


def _petals(count: int, depth: float) -> Shape:
    def inside(x: Float64Array, y: Float64Array) -> BoolArray:
        away, angle = _polar(x, y)
        return away < 1 - depth * (0.5 + 0.5 * np.cos(count * angle))

    return inside


def _crescent(x: Float64Array, y: Float64Array) -> BoolArray:
    return (np.hypot(x, y) < 1) & (np.hypot(x - 0.45, y) > 0.8)


def _heart(x: Float64Array, y: Float64Array) -> BoolArray:
    across, up = 1.2 * x, 0.1 - 1.2 * y
    return (across**2 + up**2 - 1) ** 3 < across**2 * up**3


def _spiral(x: Float64Array, y: Float64Array) -> BoolArray:
    away, angle = _polar(x, y)
    return (away < 1) & (np.cos(angle - 9 * away) > 0)


def _paw(x: Float64Array, y: Float64Array) -> BoolArray:
    inside = np.hypot(x / 0.6, (y - 0.45) / 0.5) < 1
    for toe_x, toe_y in ((-0.75, -0.15), (-0.28, -0.6), (0.28, -0.6), (0.75, -0.15)):
        inside |= np.hypot((x - toe_x) / 0.22, (y - toe_y) / 0.3) < 1
    return np.asarray(inside)


SHAPES: tuple[Shape, ...] = (
    lambda x, y: np.hypot(x, y) < 1,
    lambda x, y: (np.hypot(x, y) < 1) & (np.hypot(x, y) > 0.6),
    _petals(5, 0.6),
    lambda x, y: np.minimum(abs(x), abs(y)) < 0.3,
    lambda x, y: np.sin(12 * y) > 0,
    lambda x, y: abs(x) < 0.5 + 0.5 * y,
    _crescent,
    _heart,
    _spiral,
    _paw,
    _petals(8, 0.35),
    lambda x, y: abs(y + 0.3 * np.sin(5 * x)) < 0.25,
    lambda x, y: np.sin(12 * x) > 0,
    _petals(3, 0.7),
    lambda x, y: np.minimum(abs(x + y), abs(x - y)) < 0.35,
    lambda x, y: (np.maximum(abs(x), abs(y)) < 1) & (np.maximum(abs(x), abs(y)) > 0.6),
    lambda x, y: np.maximum(abs(x), abs(y)) < 1,
    lambda x, y: np.sin(9 * x) * np.sin(9 * y) > 0,
    lambda x, y: abs(x) + abs(y) < 1,
    lambda x, y: (np.hypot(x, y) < 1) & (y > 0),
    lambda x, y: (y < 0) | (abs(x) < 0.25),
)
"""Every other of the strange templates, see `_outlines`."""


def _field(rng: np.random.Generator, patches: int) -> Float64Array:
    """[SIDE, SIDE]: smooth noise from 0 to 1, the number of its patches a side."""
    coarse = Image.fromarray(rng.uniform(0, 1, (patches, patches)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64), 0, 1)


def _letter(letter: str) -> BoolArray:
    """[SIDE, SIDE]: a letter of the font that comes with Pillow."""
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).text(
        (SIDE / 2, SIDE / 2), letter, fill=255, font=ImageFont.load_default(SIDE * 0.75), anchor="mm"
    )
    return np.asarray(np.asarray(image) > 127)


def _outlines() -> list[BoolArray]:
    """The outlines of all strange templates, [SIDE, SIDE] each, those first that are taken first."""
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) * (2 / SIDE) - 1
    rng = np.random.default_rng(0)
    blobs = [_field(rng, patches) > 0.5 for patches in (4, 6, 9)]
    drawn = [shape(x, y) for shape in SHAPES]
    others = [_letter(letter) for letter in LETTERS] + blobs
    first = [outline for pair in zip(drawn, others) for outline in pair]
    return first + drawn[len(others) :]


def _texels(outline: BoolArray, rng: np.random.Generator) -> Float32Array:
    """[h, w, 4] premultiplied: an outline, trimmed and reduced, in patches of many colors."""
    colors = np.stack([_field(rng, PATCHES) for _ in range(3)], axis=-1)
    full = np.concatenate([colors, np.ones((SIDE, SIDE, 1))], axis=-1) * outline[..., None]
    rows, columns = np.flatnonzero(outline.any(axis=1)), np.flatnonzero(outline.any(axis=0))
    full = full[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (side // REDUCED for side in full.shape[:2])
    cells = full[: height * REDUCED, : width * REDUCED].reshape(height, REDUCED, width, REDUCED, 4)
    return np.asarray(cells.mean(axis=(1, 3)), np.float32)


@cache
def strange_templates() -> Atlas:
    """The strange templates, always the same ones."""
    rng = np.random.default_rng(1)
    return build_atlas([_texels(outline, rng) for outline in _outlines()])
