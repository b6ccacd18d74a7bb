# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters on cards: a letter of one color is lost among others of nearly the same; on a card of its own it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from ..arrays import Float32Array, UInt8Array
from . import Template
from .margin import with_margin


@dataclass(frozen=True)
class CardSettings:
    """What a card looks like. Lengths are shares of the shorter side of a letter's box; grays go from 0 to 255.

    Attributes:
        border: from the letter to the card's edge.
        corner: radius of the corners.
        rim: width of the darker line along the edge, which sets cards of one tint apart.
        paper, ink, edge: grays of the card, of the letter, and of the rim.
        fineness: samples a side in each texel of the card's outline.
    """

    border: float = 0.14
    corner: float = 0.16
    rim: float = 0.035
    paper: int = 164
    ink: int = 84
    edge: int = 120
    fineness: int = 4


def on_cards(letters: Iterable[Template], settings: CardSettings = CardSettings()) -> list[Template]:
    """The letters, each drawn on a card of its own, gray and opaque."""
    return [replace(letter, rgba=_on_card(letter.rgba, settings)) for letter in letters]


def _on_card(rgba: UInt8Array, settings: CardSettings) -> UInt8Array:
    """A card with the ink of a letter [H, W, 4], which has a margin of one texel."""
    ink = rgba[1:-1, 1:-1, 3].astype(np.float32) / 255
    shorter = min(ink.shape)
    border = max(2, round(settings.border * shorter))
    height, width = (side + 2 * border for side in ink.shape)
    whole = _rounded(height, width, 0, settings.corner * shorter, settings.fineness)
    inner = _rounded(height, width, settings.rim * shorter, settings.corner * shorter, settings.fineness)
    gray = settings.edge + (settings.paper - settings.edge) * inner
    gray[border:-border, border:-border] += ink * (settings.ink - gray[border:-border, border:-border])
    card = np.empty((height, width, 4), np.uint8)
    card[..., :3] = np.rint(gray)[..., None]
    card[..., 3] = np.rint(255 * whole)
    result = with_margin(card)
    # Transparent texels have the color of their neighbors.
    result[..., :3] = np.pad(card[..., :3], ((1, 1), (1, 1), (0, 0)), mode="edge")
    return result


def _rounded(height: int, width: int, inset: float, corner: float, fineness: int) -> Float32Array:
    """[height, width]: coverage, 0 to 1, by a rectangle with round corners, `inset` texels within the edges."""
    image = Image.new("L", (width * fineness, height * fineness))
    box = [inset * fineness, inset * fineness, (width - inset) * fineness - 1, (height - inset) * fineness - 1]
    ImageDraw.Draw(image).rounded_rectangle(box, radius=corner * fineness, fill=255)
    small = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(np.asarray(small, np.float32) / np.float32(255), np.float32)
