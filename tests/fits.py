# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits of a few sprites in memory, and what is measured on their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jobs import Floats
from numpy.typing import NDArray
from PIL import Image

from smalti.engine.api import fit
from smalti.engine.colour import srgb_from_linear
from smalti.engine.composition import Composition
from smalti.engine.composition.render import picture, render
from smalti.engine.templates import Template

PALETTE = ("#000000", "#ffffff", "#d02010", "#1040c0", "#7f8081", "#20a060")


def quick(target: Path, templates: list[Template], **settings: Any) -> Composition:
    """A fit of 60 sprites in 40 steps; `settings` replace what is usual."""
    return fit(target, templates, **{"count": 60, "steps": 40, **settings})


def drawn(composition: Composition, frame: int = 0) -> Floats:
    """[H, W, 4] premultiplied sRGB, 0 to 1."""
    pixels = picture(composition, frame) / 255
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


def gray(path: Path) -> Floats:
    """[H, W]: a picture's brightness, 0 to 1."""
    return np.asarray(Image.open(path).convert("L")) / 255


def alpha_outside(composition: Composition, inside: Floats, frame: int = 0) -> tuple[float, float]:
    """The highest alpha, in levels of 255, where `inside` [H, W] is below a half, at the fit's size and at twice it."""
    highest = []
    for zoom in (1, 2):
        width, height = zoom * composition.header.width, zoom * composition.header.height
        plane = Image.fromarray(inside.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
        alpha = render(composition, frame, max(width, height))[..., 3]
        highest.append(255 * float(alpha[np.asarray(plane) < 0.5].max()))
    return highest[0], highest[1]


def colors_of(palette: tuple[str, ...]) -> set[tuple[int, ...]]:
    """The colors of a palette as 8-bit sRGB levels."""
    return {tuple(bytes.fromhex(color[1:])) for color in palette}


def levels_of(composition: Composition) -> NDArray[np.int64]:
    """[F, N, 3]: the tints as 8-bit sRGB levels, which must be whole numbers within rounding."""
    shown = composition.tint.astype(np.float64)
    if composition.header.blend_space == "linear":
        shown = srgb_from_linear(composition.tint).astype(np.float64)
    levels = np.rint(255 * shown)
    np.testing.assert_allclose(255 * shown, levels, atol=1e-3)
    return levels.astype(np.int64)
