# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading words off a screenshot of Blender, in the typeface that it writes in.

A word is drawn as Blender draws it and looked for by normalized cross-correlation, which does not care whether it is
bright or gray, on a button or on the background. A label that Blender has cut short ("Visible Pre...") is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matching import Searched, Values
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZE = 11.5  # pixels: the interface's letters at its usual scale
FINE = 8  # samples across a pixel, as letters are drawn without hinting
ALIKE = 0.8  # correlation from which on it is the word; the right one has 0.93 and more, others less than 0.7
LARGEST = 80, 560  # height and width of a word, pixels; with them a page has sides that transform fast
ROOM = 7  # pixels beside a word in which nothing is written: otherwise it is one of several
ICON = 2  # pixels to its left in which there is nothing at all; an icon may follow
MISS = 0.29  # of a letter's brightness, by which the worst part of a word may differ; right ones do by 0.24 at most
PART = 8  # pixels: how wide such a part is
DARK = 8.0  # level below which a drawn word is its background


@dataclass(frozen=True)
class Place:
    """Where a word stands, in pixels of the screenshot, and how surely it is it (at most 1)."""

    x: int
    y: int
    width: int
    height: int
    score: float

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the word."""
        return self.x + self.width / 2, self.y + self.height / 2


class Page:
    """A screenshot, or a part of one, in which words are looked for.

    Args:
        pixels: [height, width, 3].
        left, top: where the part lies, which is added to the places that are found.
    """

    def __init__(self, pixels: NDArray[np.uint8], left: int = 0, top: int = 0) -> None:
        self._searched = Searched(pixels.astype(np.float64) @ (0.299, 0.587, 0.114), LARGEST)
        self._left, self._top = left, top
        self._found: dict[tuple[str, bool], list[Place]] = {}

    def places(self, text: str, font: Path, goes_on: bool = False) -> list[Place]:
        """Where `text` is written, what stands alone first; what more text follows counts where it `goes_on` only."""
        if (text, goes_on) not in self._found:
            self._found[text, goes_on] = self._search(text, font, goes_on)
        return self._found[text, goes_on]

    def _search(self, text: str, font: Path, goes_on: bool) -> list[Place]:
        after = 0 if goes_on else ROOM
        template = drawn(text, font)
        height, width = template.shape
        score = self._searched.scores(template)
        found = []
        while score.size and score.max() >= ALIKE:
            y, x = map(int, np.unravel_index(int(score.argmax()), score.shape))
            if self._miss(template, x, y, (ICON, after)) < MISS:
                alone = self._miss(template, x, y, (ROOM, after)) < MISS
                found.append((not alone, Place(self._left + x, self._top + y, width, height, float(score[y, x]))))
            score[max(0, y - height // 2) : y + height // 2 + 1, max(0, x - width // 2) : x + width // 2 + 1] = 0
        return [place for _, place in sorted(found, key=lambda one: one[0])]

    def _miss(self, template: Values, x: int, y: int, room: tuple[int, int]) -> float:
        """How much the worst part of what stands there differs from the word with `room` on both sides of it."""
        height, width = template.shape
        alone = np.pad(template / 255, ((0, 0), room))
        columns = np.clip(np.arange(x - room[0], x + width + room[1]), 0, self._searched.levels.shape[1] - 1)
        there = self._searched.levels[y : y + height, columns]
        bright, background = np.polyfit(alone.ravel(), there.ravel(), 1)
        if bright <= 0:
            return float("inf")
        wrong = ((there - background) / bright - alone) ** 2
        return float(np.sqrt(np.convolve(wrong.mean(axis=0), np.ones(PART) / PART, "valid").max()))


@cache
def drawn(text: str, font: Path) -> Values:
    """`text` as Blender writes it: [height, width], 0 to 255, cut to what is not dark. Letters are on whole pixels."""
    x, letters = 0, []
    for letter in text:
        letters.append((x, _letter(letter, font)))
        x += round(_face(font, 100 * SIZE).getlength(letter) / 100)
    page = np.zeros((letters[0][1].shape[0], x + letters[0][1].shape[1]))
    for x, one in letters:
        part = page[:, x : x + one.shape[1]]
        np.maximum(part, one[:, : part.shape[1]], out=part)
    rows, columns = (np.flatnonzero(page.max(axis) > DARK) for axis in (1, 0))
    return page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def _face(font: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font, size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _letter(letter: str, font: Path) -> Values:
    """One letter, drawn large and averaged over each pixel."""
    width, height, base = int(2 * SIZE) + 2, int(1.7 * SIZE), round(1.2 * SIZE)
    image = Image.new("L", (width * FINE, height * FINE))
    ImageDraw.Draw(image).text((2 * FINE, base * FINE), letter, 255, _face(font, SIZE * FINE), anchor="ls")
    levels: Values = np.asarray(image, float).reshape(height, FINE, width, FINE).mean(axis=(1, 3))
    return levels
