# SPDX-License-Identifier: GPL-3.0-or-later
"""Text as templates: each different glyph, or each different word, in one typeface and at one scale."""

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
from . import MAX_SIDE, MAX_TEXELS, Template, uniquely_named, with_margin

logger = logging.getLogger("smalti")

EM = 512
"""Height of the typeface's em in texels."""
MIN_EM = 16
"""Below this, letters are no longer letters."""
MAX_TEXT_TEXELS = MAX_TEXELS // 4
"""Texels of all glyphs or words together; with more, the em is smaller for all."""

_PROBE = 64
"""The em, in pixels, at which a text is measured."""
_ROOM = 8
"""Pixels round a text's box, beyond which hinting and shaping may put some ink."""
_NO_CHARACTER = "\U0010ffff"
"""Unicode promises that this never becomes a character, so every font shows its sign for a missing glyph."""


def text_templates(text: str, font: Path | str | None = None, *, split: TextSplit = "glyphs") -> list[Template]:
    """Make templates of a text: black, and opaque where there is ink, at the same scale for all.

    Args:
        text: any text; space between words makes no template.
        font: a font file (TrueType, OpenType, ...); None takes the one that comes with Pillow, which has the letters of
            English only.
        split: ``"glyphs"``: a template for each different glyph, that is what a reader takes for one character: a
            letter with its accents, a whole emoji. ``"words"``: one for each different word.

    Returns:
        At least one template, in the order of the text, named after what it shows. What the font has no glyphs for is
        left out with one warning.

    Raises:
        SmaltiError: the font is missing, unreadable or no outline font (codes ``"font_missing"``,
            ``"font_unreadable"``, ``"not_a_font"``), or has nothing to show of the text (``"no_glyphs"``); or a word is
            too long to be drawn (``"text_too_long"``).
    """
    pieces = _pieces(text, split)
    typeface = _Typeface(font)
    sizes = {piece: size for piece in pieces if (size := typeface.size(piece)) is not None}
    if not sizes:
        raise SmaltiError(
            f"The text {_quoted(_short(text))} has no character that {typeface.name} can show.",
            "Choose another font, or another text.",
            "no_glyphs",
        )
    missing = [_quoted(piece) for piece in pieces if piece not in sizes]
    if missing:
        logger.warning("Left out: %s, for which %s has no glyphs.", _short(" ".join(missing)), typeface.name)
    font_at_size = typeface.at(_largest_em(sizes.values()))
    return uniquely_named(Template(piece, with_margin(_black(_drawn(piece, font_at_size)))) for piece in sizes)


def _pieces(text: str, split: TextSplit) -> list[str]:
    """The different glyphs or words in order, composed alike however they were typed, without those that are blank."""
    text = _without_controls(unicodedata.normalize("NFC", text))
    pieces: Iterable[str] = text.split() if split == "words" else iter_graphemes(text)
    return [piece for piece in dict.fromkeys(pieces) if any(map(_visible, piece))]


def _without_controls(text: str) -> str:
    """The text with blanks for what is no character to be seen or joined."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _visible(character: str) -> bool:
    """Whether a font should have a glyph for it: no space, and nothing that only tells how to join or vary others."""
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp") and not variation


def _quoted(text: str) -> str:
    """The text in quotes, on one line, as a reader sees it: an emoji of several parts in one piece."""
    return f"'{' '.join(_without_controls(text).split())}'"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _largest_em(sizes: Iterable[tuple[float, float]]) -> float:
    """The em, at most `EM`, with which all stay within `MAX_SIDE` and together within `MAX_TEXT_TEXELS`.

    Args:
        sizes: heights and widths in ems.

    Raises:
        SmaltiError: it is below `MIN_EM` (code ``"text_too_long"``).
    """
    own = np.array(list(sizes))
    em = min(float(EM), MAX_SIDE / float(own.max()), math.sqrt(MAX_TEXT_TEXELS / float(own.prod(axis=1).sum())))
    if em < MIN_EM:
        raise SmaltiError(
            "The text is too long to be drawn legibly.",
            "Break up its longest word, or give less text.",
            "text_too_long",
        )
    if em < EM:
        logger.info("The text is drawn with an em of %.1f pixels instead of %d.", em, EM)
    return em


class _Typeface:
    """A font file at any size. `name` is what messages call it."""

    def __init__(self, path: Path | str | None) -> None:
        self.name = "the built-in font" if path is None else str(path)
        self._data = None if path is None else _read(Path(path))
        # Without shaping, each character is looked up for itself.
        self._single = self.at(_PROBE, ImageFont.Layout.BASIC)
        self._sign_for_missing = self._look(_NO_CHARACTER)
        self._probe = self.at(_PROBE)

    def at(self, em: float, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
        """The font with an em of so many pixels; a layout of None is the best at hand."""
        if self._data is None:
            return cast(ImageFont.FreeTypeFont, ImageFont.load_default(em))
        try:
            return ImageFont.truetype(io.BytesIO(self._data), em, layout_engine=layout)
        except (OSError, ValueError) as fault:  # what Pillow makes of FreeType's complaints
            raise SmaltiError(
                f"{self.name}: is no font, is damaged, or has no outlines ({fault}).",
                "Choose a TrueType or OpenType font.",
                "not_a_font",
            ) from fault

    def size(self, piece: str) -> tuple[float, float] | None:
        """Height and width of its ink in ems, rounded up; None where the font has no glyphs or no ink for it."""
        if not self._has(piece) and not self._has(unicodedata.normalize("NFD", piece)):
            return None
        height, width = _drawn(piece, self._probe).shape
        return ((height + 1) / _PROBE, (width + 1) / _PROBE) if height and width else None

    def _has(self, piece: str) -> bool:
        return all(self._look(character) != self._sign_for_missing for character in filter(_visible, piece))

    def _look(self, character: str) -> tuple[object, ...]:
        font = self._single
        return font.getlength(character), font.getbbox(character), bytes(font.getmask(character))


def _drawn(piece: str, font: ImageFont.FreeTypeFont) -> UInt8Array:
    """[height, width]: coverage, 0 to 255, trimmed to the ink; empty where there is none."""
    left, top, right, bottom = font.getbbox(piece, anchor="ls")
    image = Image.new("L", (int(right - left) + 2 * _ROOM, int(bottom - top) + 2 * _ROOM))
    ImageDraw.Draw(image).text((_ROOM - left, _ROOM - top), piece, fill=255, font=font, anchor="ls")
    return np.array(image.crop(image.getbbox() or (0, 0, 0, 0)))


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
    rgba = np.zeros((*coverage.shape, 4), np.uint8)
    rgba[..., 3] = coverage
    return rgba
