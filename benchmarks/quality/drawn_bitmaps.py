# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitmaps that the benchmark draws itself: discs, brush strokes and letters, in many colors."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smalti.engine.arrays import UInt8Array
from smalti.engine.templates import Template, load_templates


def strokes() -> list[UInt8Array]:
    """Brush strokes: bundles of bristles along a bent line, drawn large and reduced."""
    rng = np.random.default_rng(0)
    bitmaps = []
    for colour in many_colors(12):
        image = Image.new("RGBA", (1200, 400), (*colour, 0))
        draw = ImageDraw.Draw(image)
        bend = rng.uniform(-90, 90)
        for _ in range(90):
            offset, begin, end = rng.normal(0, 45), rng.uniform(40, 160), rng.uniform(1020, 1160)
            x = np.linspace(begin, end, 40)
            y = 200 + offset + bend * np.sin(np.pi * x / 1200) + rng.normal(0, 2)
            bristle = tuple(int(c) for c in np.clip(np.array(colour) * rng.uniform(0.75, 1.2), 0, 255))
            draw.line([*zip(x, y)], (*bristle, 255), int(rng.uniform(4, 10)))
        bitmaps.append(np.asarray(image.resize((300, 100), Image.Resampling.LANCZOS)))
    return bitmaps


def many_colors(count: int) -> list[tuple[int, int, int]]:
    """Colors of all hues, light and dark, and grays."""
    rng = np.random.default_rng(1)
    colors = [(20, 20, 24), (128, 128, 128), (240, 240, 236)]
    while len(colors) < count:
        red, green, blue = (int(255 * c) for c in colorsys.hsv_to_rgb(*rng.uniform((0, 0.2, 0.3), (1, 0.9, 1))))
        colors.append((red, green, blue))
    return colors


def letters() -> list[UInt8Array]:
    """Letters in Pillow's own typeface, in many colors."""
    font = ImageFont.load_default(160)
    bitmaps = []
    for letter, colour in zip("SMALTIMOSAICGLAS", many_colors(16)):
        box = font.getbbox(letter)
        image = Image.new("RGBA", (int(box[2] - box[0]) + 8, int(box[3] - box[1]) + 8), (*colour, 0))
        ImageDraw.Draw(image).text((4 - box[0], 4 - box[1]), letter, (*colour, 255), font)
        bitmaps.append(np.asarray(image))
    return bitmaps


def discs() -> list[UInt8Array]:
    """Soft discs in many colors."""
    y, x = np.mgrid[0:128, 0:128] - 63.5
    alpha = (np.clip((64 - np.hypot(x, y)) / 4, 0, 1) * 255).astype(np.uint8)
    colours = [np.broadcast_to(np.array(colour, np.uint8), (128, 128, 3)) for colour in many_colors(16)]
    return [np.dstack([colour, alpha]) for colour in colours]


DRAWN = {"discs": discs, "letters": letters, "strokes": strokes}


def templates_of(name: str, data: Path, out: Path) -> list[Template]:
    """The templates of a set of bitmaps.

    Args:
        name: a key of `DRAWN`, or the name of a folder in `data`/primitives.
        data: the folder of the benchmark's pictures and bitmaps.
        out: where bitmaps that are drawn here are kept, in bitmaps/NAME.
    """
    if name not in DRAWN:
        return load_templates(data / "primitives" / name)
    folder = out / "bitmaps" / name
    folder.mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(DRAWN[name]()):
        Image.fromarray(pixels).save(folder / f"{name}-{i + 1}.png")
    return load_templates(folder)
