# SPDX-License-Identifier: GPL-3.0-or-later
"""A text in lines over a canvas, in reading order, at the largest size at which all of it has room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import TextSplit

from ..arrays import Float32Array, Float64Array, Int32Array
from .text import Typeface, drawn, words_of

LEADING = 1.1
"""From one baseline to the next, ems."""
ASCENT = 0.82
"""From the top of a line to its baseline, ems."""
NARROWEST = 1.0
"""Least width of a place in a line, ems."""
SPACE = 0.36
"""Least space between words, ems: letters that move a little must not close it."""
WIDEST_GAP = 0.7
"""What a space between words may grow by to fill a line, ems, at most."""
MIN_EM = 3.0
"""Smallest em, canvas pixels: below it a letter is a dot."""
_MEASURED = 128
"""The em, pixels, at which ink is measured."""
_HALVINGS = 24
"""Of the interval in which the largest em is searched for."""


@dataclass(frozen=True)
class Glyph:
    """How a piece of the text stands in a line, in ems.

    Attributes:
        template: which of the text's templates it is, from 0.
        advance: to the next piece.
        center: of its ink: right of the pen, below the baseline.
        longer: longer side of its ink.
    """

    template: int
    advance: float
    center: tuple[float, float]
    longer: float


@dataclass(frozen=True, eq=False)
class Lines:
    """The N pieces of a text in reading order, in canvas pixels.

    Attributes:
        template: [N] which of the text's templates, from 0.
        x, y: [N] centers of their ink.
        longer: [N] longer sides of their ink.
        beside: [N] distance from the center of the nearer neighbor in the line, or the em.
        em: the font's em.
    """

    template: Int32Array
    x: Float64Array
    y: Float64Array
    longer: Float64Array
    beside: Float64Array
    em: float


@dataclass
class _Place:
    """A part of a line: from `left` to `right` on the baseline `y`, and the pieces with their pens, all in ems.

    `starts` are the indices of the pieces that begin its second and later words.
    """

    left: float
    right: float
    y: float
    glyphs: list[Glyph] = field(default_factory=list)
    pens: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    @property
    def end(self) -> float:
        """The pen behind the last piece."""
        return self.pens[-1] + self.glyphs[-1].advance if self.glyphs else self.left

    def put(self, glyphs: Sequence[Glyph], space: float) -> int:
        """Put as many pieces of a word here as a line should have: all, or none, or what fits of a long word."""
        pen = self.end + (space if self.glyphs else 0)
        ends = pen + np.cumsum([glyph.advance for glyph in glyphs])
        number = int(np.searchsorted(ends, self.right + 1e-9, side="right"))
        if number < len(glyphs) and self.glyphs:
            return 0
        if self.glyphs:
            self.starts.append(len(self.glyphs))
        self.glyphs += glyphs[:number]
        self.pens += [pen, *ends[: max(number - 1, 0)].tolist()][:number]
        return number

    def justify(self) -> None:
        """Spread the words to the end, or the pieces where the words would stand too far apart."""
        left, number = self.right - self.end, len(self.pens)
        starts = np.zeros(number)
        starts[self.starts] = 1
        gaps = starts if left <= WIDEST_GAP * len(self.starts) else np.ones(number)
        gaps[:1] = 0
        if gaps.any():
            moved = np.array(self.pens) + left * np.cumsum(gaps) / gaps.sum()
            self.pens = moved.tolist()


def text_in_lines(text: str, font: Path | str | None, split: TextSplit, alpha: Float32Array) -> Lines:
    """Lay a text out over the parts of a canvas that are not transparent, from its top to its bottom.

    White space ends words; a word that is too long for its place is broken.

    Args:
        text, font, split: as `smalti.engine.templates.text.text_templates`, whose templates these are.
        alpha: [H, W] of the canvas, 0 to 1.

    Raises:
        SmaltiError: as `text_templates`; or the text is too long for the canvas (code ``"text_too_long"``).
    """
    words, space = _measured(text, font, split)
    height, width = alpha.shape
    rows = np.vstack([np.zeros((1, width)), np.cumsum(alpha, axis=0, dtype=np.float64)])
    low, high = MIN_EM, float(min(height / LEADING, width / NARROWEST))
    best = _laid(words, space, rows, low) if low <= high else None
    if best is None:
        raise SmaltiError(
            f"The text is too long for this canvas ({sum(map(len, words)):,} pieces on {width} x {height} pixels).",
            "Give less text, or a larger size.",
            "text_too_long",
        )
    em = low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        laid = _laid(words, space, rows, middle)
        if laid is None:
            high = middle
        else:
            low, em, best = middle, middle, laid
    return _lines(best, em)


def _measured(text: str, font: Path | str | None, split: TextSplit) -> tuple[list[list[Glyph]], float]:
    """The words of a text, and the width of a space in ems."""
    words, typeface = words_of(text, split), Typeface(font)
    at = typeface.at(_MEASURED)
    glyphs = {}
    for number, piece in enumerate(typeface.sizes_of(words)):
        ink, (left, top) = drawn(piece, at)
        height, width = ink.shape
        center = (left + width / 2) / _MEASURED, (top + height / 2) / _MEASURED
        glyphs[piece] = Glyph(number, at.getlength(piece) / _MEASURED, center, max(height, width) / _MEASURED)
    shown = ([glyphs[piece] for piece in word if piece in glyphs] for word in words)
    return [word for word in shown if word], max(SPACE, at.getlength(" ") / _MEASURED)


def _laid(words: Sequence[Sequence[Glyph]], space: float, rows: Float64Array, em: float) -> list[_Place] | None:
    """The places of a canvas with the words in them; None where there is no room for all."""
    places = iter(_places(rows, em))
    filled: list[_Place] = []
    place = next(places, None)
    for word in words:
        left = list(word)
        while left:
            if place is None:
                return None
            number = place.put(left, space)
            del left[:number]
            if left:
                filled.append(place)
                place = next(places, None)
    assert place is not None
    for full in filled:
        full.justify()
    return [*filled, place]


def _places(rows: Float64Array, em: float) -> list[_Place]:
    """Where letters have room, line by line: all along where at least half of the line's height is opaque.

    Args:
        rows: [H + 1, W] sums of the canvas's alpha over the rows above.
    """
    height = rows.shape[0] - 1
    number = int(height / (LEADING * em))
    line = height / number
    places = []
    for k in range(number):
        top, bottom = round(k * line), round((k + 1) * line)
        opaque = rows[bottom] - rows[top] >= 0.5 * (bottom - top)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], opaque, [False]]).astype(np.int8)))
        baseline = (k * line + 0.5 * (line - em)) / em + ASCENT
        for left, right in edges.reshape(-1, 2).tolist():
            if right - left >= NARROWEST * em:
                places.append(_Place(left / em, right / em, baseline))
    return places


def _lines(places: Sequence[_Place], em: float) -> Lines:
    glyphs = [glyph for place in places for glyph in place.glyphs]
    x, y, beside = [], [], []
    for place in places:
        centers = [pen + glyph.center[0] for pen, glyph in zip(place.pens, place.glyphs)]
        gaps = [1.0, *(after - before for before, after in pairwise(centers)), 1.0]
        x += centers
        y += [place.y + glyph.center[1] for glyph in place.glyphs]
        beside += [min(gaps[k], gaps[k + 1]) for k in range(len(centers))]
    return Lines(
        np.array([glyph.template for glyph in glyphs], np.int32),
        em * np.array(x),
        em * np.array(y),
        em * np.array([glyph.longer for glyph in glyphs]),
        em * np.array(beside),
        em,
    )
