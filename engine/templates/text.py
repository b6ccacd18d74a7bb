# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of text: one for each different glyph or word, all in one font and at one scale."""

from __future__ import annotations

import io
import logging
import math
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from wcwidth import iter_graphemes

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import TextSplit

from ..arrays import UInt8Array
from ..errors import unreadable
from . import MAX_SIDE, MAX_TEXELS, Template, uniquely_named
from .margin import with_margin

logger = logging.getLogger(__name__)

EM = 512
"""Largest height of the font's em, texels."""
MIN_EM = 16
"""Smallest legible height of the em, texels."""
MAX_TEXT_TEXELS = MAX_TEXELS // 2
"""Largest number of texels of all glyphs or words together; with more, the em is reduced for all."""

_PROBE = 64
"""The em, in pixels, at which text is measured."""
_ROOM = 8
"""Extra pixels on every side of a text's box, since hinting and shaping may draw outside the box."""
_NO_CHARACTER = "\U0010ffff"
"""A code point that never becomes a character, so that every font shows its sign for a missing glyph."""


def text_templates(text: str, font: Path | str | None = None, *, split: TextSplit = "glyphs") -> list[Template]:
    """Make templates of a text: black, with the ink's coverage as alpha, all at the same scale.

    Args:
        text: any text; white space makes no template.
        font: a font file (TrueType, OpenType, ...); None takes the one that comes with Pillow, which has the letters of
            English only.
        split: ``"glyphs"``: a template for each different grapheme, which is what a reader takes for one character: a
            letter with its accents, a whole emoji. ``"words"``: one for each different word.

    Returns:
        At least one template, in the order of the text, named after its text. Text that the font has no glyphs for is
        left out with one warning.

    Raises:
        SmaltiError: the font is missing, unreadable or no outline font (codes ``"font_missing"``,
            ``"font_unreadable"``, ``"not_a_font"``), or has nothing to show of the text (``"no_glyphs"``); or a word is
            too long to be drawn (``"text_too_long"``).
    """
    words = words_of(text, split)
    typeface = Typeface(font)
    sizes = typeface.sizes_of(words)
    if not sizes:
        raise SmaltiError(
            f"The text {_quoted(_short(text))} has no character that {typeface.name} can show.",
            "Choose another font, or another text.",
            "no_glyphs",
        )
    missing = [_quoted(piece) for piece in _different(words) if piece not in sizes]
    if missing:
        logger.warning("Left out: %s, for which %s has no glyphs.", _short(" ".join(missing)), typeface.name)
    font_at_size = typeface.at(_largest_em(sizes.values()))
    return uniquely_named(
        Template(piece, with_margin(_black(drawn(piece, font_at_size)[0])), letter=_letter(piece)) for piece in sizes
    )


def words_of(text: str, split: TextSplit) -> list[list[str]]:
    """The words of a text in order, each as its graphemes or as one piece, in Unicode normal form C."""
    text = _without_controls(unicodedata.normalize("NFC", text))
    if split == "words":
        words = [[word] for word in text.split()]
    else:
        words = [[]]
        for piece in iter_graphemes(text):
            if piece.isspace():
                words.append([])
            else:
                words[-1].append(piece)
    visible = ([piece for piece in word if any(map(_visible, piece))] for word in words)
    return [word for word in visible if word]


def _letter(piece: str) -> str:
    """The piece where it is a single character, as a user sees characters; else nothing."""
    return piece if len(list(iter_graphemes(piece))) == 1 else ""


def _different(words: Iterable[Iterable[str]]) -> list[str]:
    """The different pieces of words, in order."""
    return list(dict.fromkeys(piece for word in words for piece in word))


def _without_controls(text: str) -> str:
    """The text with control characters and lone surrogates replaced by blanks."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _visible(character: str) -> bool:
    """Whether a font should have a glyph for it: not for spaces, joiners and variation selectors."""
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp") and not variation


def _quoted(text: str) -> str:
    """The text in quotes, on one line; joiners stay, so that an emoji of several parts is one character."""
    return f"'{' '.join(_without_controls(text).split())}'"


def _short(text: str) -> str:
    """The text, cut to 200 characters."""
    return text if len(text) <= 200 else f"{text[:200]}..."


def _largest_em(sizes: Iterable[tuple[float, float]]) -> float:
    """The largest em, texels, up to `EM`, with which each piece fits into `MAX_SIDE`, and all into `MAX_TEXT_TEXELS`.

    Args:
        sizes: height and width of each piece, in ems.

    Raises:
        SmaltiError: the em is below `MIN_EM` (code ``"text_too_long"``).
    """
    in_ems = np.array(list(sizes))
    texels = float(in_ems.prod(axis=1).sum())
    em = min(float(EM), MAX_SIDE / float(in_ems.max()), math.sqrt(MAX_TEXT_TEXELS / texels))
    if em < MIN_EM:
        raise SmaltiError(
            "The text is too long to be drawn legibly.",
            "Break up its longest word, or give less text.",
            "text_too_long",
        )
    if em < EM:
        logger.info("The text is drawn with an em of %.1f pixels instead of %d.", em, EM)
    return em


class Typeface:
    """A font file at any size.

    Args:
        path: the file; None for the font that comes with Pillow.

    Attributes:
        name: what messages call it.

    Raises:
        SmaltiError: code ``"font_missing"``, ``"font_unreadable"`` or ``"not_a_font"``.
    """

    def __init__(self, path: Path | str | None) -> None:
        self.name = "the built-in font" if path is None else str(path)
        self._data = None if path is None else _read(Path(path))
        # Without shaping, each character is looked up by itself.
        self._single = self.at(_PROBE, ImageFont.Layout.BASIC)
        self._missing_glyph = self._glyph(_NO_CHARACTER)
        self._probe = self.at(_PROBE)

    def at(self, em: float, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
        """The font with an em of `em` pixels; a layout of None is the best that Pillow has here."""
        if self._data is None:
            return cast(ImageFont.FreeTypeFont, ImageFont.load_default(em))
        try:
            return ImageFont.truetype(io.BytesIO(self._data), em, layout_engine=layout)
        except (OSError, ValueError) as fault:  # from errors of FreeType
            raise SmaltiError(
                f"{self.name}: is no font, is damaged, or has no outlines ({fault}).",
                "Choose a TrueType or OpenType font.",
                "not_a_font",
            ) from fault

    def sizes_of(self, words: Iterable[Iterable[str]]) -> dict[str, tuple[float, float]]:
        """`size` of each different piece of words that the font can show, in order."""
        return {piece: size for piece in _different(words) if (size := self.size(piece)) is not None}

    def size(self, piece: str) -> tuple[float, float] | None:
        """Height and width of a piece's ink in ems, rounded up; None if the font has no glyphs or no ink for it."""
        if not self._has(piece) and not self._has(unicodedata.normalize("NFD", piece)):
            return None
        height, width = drawn(piece, self._probe)[0].shape
        return ((height + 1) / _PROBE, (width + 1) / _PROBE) if height and width else None

    def _has(self, piece: str) -> bool:
        """Whether the font has a glyph for each visible character."""
        return all(self._glyph(character) != self._missing_glyph for character in filter(_visible, piece))

    def _glyph(self, character: str) -> tuple[object, ...]:
        """What tells one glyph from another: advance, box and pixels."""
        font = self._single
        return font.getlength(character), font.getbbox(character), bytes(font.getmask(character))


def drawn(piece: str, font: ImageFont.FreeTypeFont) -> tuple[UInt8Array, tuple[float, float]]:
    """[H, W]: coverage, 0 to 255, trimmed to the ink, empty without ink; and where it begins.

    That is how far its left edge lies right of the pen, and its top edge below the baseline, in pixels.
    """
    left, top, right, bottom = font.getbbox(piece, anchor="ls")
    image = Image.new("L", (int(right - left) + 2 * _ROOM, int(bottom - top) + 2 * _ROOM))
    ImageDraw.Draw(image).text((_ROOM - left, _ROOM - top), piece, fill=255, font=font, anchor="ls")
    box = image.getbbox() or (0, 0, 0, 0)
    return np.array(image.crop(box)), (box[0] - _ROOM + left, box[1] - _ROOM + top)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path of the font.", "font_missing") from fault
    except IsADirectoryError as fault:
        raise SmaltiError(f"{path}: is a folder, not a font.", "Choose a font file.", "font_unreadable") from fault
    except OSError as fault:
        raise unreadable(path, fault, "font_unreadable") from fault


def _black(coverage: UInt8Array) -> UInt8Array:
    """[H, W, 4], straight alpha: black with an alpha of `coverage` [H, W]."""
    rgba = np.zeros((*coverage.shape, 4), np.uint8)
    rgba[..., 3] = coverage
    return rgba
