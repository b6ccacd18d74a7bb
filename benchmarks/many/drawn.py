# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of bitmaps for tests of memory and time: photographs made of pictures and smooth noise, and logos.

    python benchmarks/many/drawn.py photos FOLDER --number 2000 --pictures PICTURES
    python benchmarks/many/drawn.py logos FOLDER --number 609

The same number of the same bitmap gives the same pixels.
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

PHOTO_SIDE = 1024
"""Longer side of a photograph, pixels."""
LOGO_SIDE = 512
"""Side of a logo, pixels."""


def photo(number: int, pictures: Sequence[Image.Image]) -> Image.Image:
    """One photograph: in turns a crop of a picture in other colors, smooth noise, or both."""
    rng = np.random.default_rng((1, number))
    width, height = (PHOTO_SIDE, int(PHOTO_SIDE * rng.uniform(0.62, 1)))
    if rng.uniform() < 0.4:
        width, height = height, width
    noise = _noise(width, height, rng)
    if number % 4 == 3 or not pictures:
        return noise
    picture = pictures[int(rng.integers(len(pictures)))]
    part = rng.uniform(0.15, 0.6) * min(picture.width / width, picture.height / height)
    left = rng.uniform(0, picture.width - part * width)
    top = rng.uniform(0, picture.height - part * height)
    crop = picture.resize(
        (width, height), Image.Resampling.BICUBIC, (left, top, left + part * width, top + part * height)
    )
    if rng.uniform() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    crop = ImageEnhance.Color(crop).enhance(rng.uniform(0, 1.8))
    crop = ImageEnhance.Brightness(crop).enhance(rng.uniform(0.4, 1.7))
    if number % 4 == 2:
        crop = Image.blend(crop, noise, rng.uniform(0.2, 0.7))
    return crop


def _noise(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Smooth noise of a few colors."""
    cells = tuple(int(n) for n in rng.integers(2, 9, 2))
    base = np.array(colorsys.hsv_to_rgb(*rng.uniform((0, 0.1, 0.1), (1, 0.9, 1))))
    colors = np.clip(base + rng.normal(0, 0.22, (*cells, 3)), 0, 1)
    small = Image.fromarray(np.rint(255 * colors).astype(np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def logo(number: int) -> Image.Image:
    """One logo: a shape in one color, and a smaller shape or a letter in another, on nothing."""
    rng = np.random.default_rng((2, number))
    first, second = (
        tuple(int(255 * c) for c in colorsys.hsv_to_rgb(*rng.uniform((0, 0.3, 0.2), (1, 1, 1)))) for _ in range(2)
    )
    image = Image.new("RGBA", (LOGO_SIDE, LOGO_SIDE), (*first, 0))
    draw = ImageDraw.Draw(image)
    margin = 0.04 * LOGO_SIDE
    stretch = rng.uniform(0, 0.3, 2) * LOGO_SIDE * (rng.uniform(size=2) < 0.5)
    box = [margin, margin + stretch[0] * (stretch[1] == 0), LOGO_SIDE - margin, LOGO_SIDE - margin]
    kind = int(rng.integers(4))
    if kind == 0:
        draw.ellipse(box, (*first, 255))
    elif kind == 1:
        draw.rounded_rectangle(box, 0.15 * LOGO_SIDE, (*first, 255))
    elif kind == 2:
        draw.ellipse(box, None, (*first, 255), int(rng.uniform(0.08, 0.2) * LOGO_SIDE))
    else:
        sides = int(rng.integers(3, 9))
        draw.regular_polygon((LOGO_SIDE / 2, LOGO_SIDE / 2, 0.48 * LOGO_SIDE), sides, rng.uniform(0, 90), (*first, 255))
    font = ImageFont.load_default(rng.uniform(0.3, 0.6) * LOGO_SIDE)
    letter = chr(ord("A") + int(rng.integers(26)))
    draw.text((LOGO_SIDE / 2, LOGO_SIDE / 2), letter, (*second, 255), font, "mm")
    return image


def main() -> None:
    """Write bitmaps into a folder; those that are there already stay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("photos", "logos"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--pictures", type=Path, help="folder of pictures that photographs are cropped from")
    requested = parser.parse_args()
    requested.folder.mkdir(parents=True, exist_ok=True)
    files = [] if requested.pictures is None else sorted(requested.pictures.iterdir())
    pictures = [Image.open(file).convert("RGB") for file in files]
    for number in range(requested.number):
        path = requested.folder / f"{number:04d}.{'jpg' if requested.kind == 'photos' else 'png'}"
        if path.exists():
            continue
        if requested.kind == "photos":
            photo(number, pictures).save(path, quality=88)
        else:
            logo(number).save(path, compress_level=3)


if __name__ == "__main__":
    main()
