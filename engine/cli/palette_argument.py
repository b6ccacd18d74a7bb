# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes as the command line takes them: a list of colors, or a file of one of the usual kinds."""

from __future__ import annotations

import re
from pathlib import Path

from smalti.bridge.errors import SmaltiError, named

_HEX = re.compile("#?([0-9a-fA-F]{6})|#([0-9a-fA-F]{3})")
"""Three digits want the "#": without it "add" is rather the name of a file."""
_GIMP_ROW = re.compile(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})(\s.*)?")


def read_palette(given: str) -> tuple[str, ...]:
    """The colors, ``"#rrggbb"``, of a list with commas (``"#112233,#abc"``) or of a file.

    A file is a palette of GIMP's (.gpl: a first line "GIMP Palette", then rows of red, green, blue from 0 to 255), or a
    text with one color a line, as six hexadecimal digits with or without "#", or three with it. Empty lines, and in
    texts whatever comes after ";" or "//", are left out.

    Raises:
        SmaltiError: there is no such file (code ``"palette_missing"``), it cannot be read, or it holds a line that is
            no color or no color at all (code ``"bad_palette"``).
    """
    entries = [entry.strip() for entry in given.strip().removesuffix(",").split(",")]
    colours = [_colour(entry) for entry in entries]
    if all(colours):
        return tuple(colour for colour in colours if colour)
    if len(entries) > 1 or given.startswith("#"):
        wrong = next(entry for entry, colour in zip(entries, colours) if not colour)
        raise SmaltiError(
            f"{named('palette')}: {wrong!r} is no color.", "Write colors as #rrggbb.", "bad_palette", setting="palette"
        )
    return _read(Path(given))


def _colour(text: str) -> str | None:
    """A color as ``"#rrggbb"``, or None where the text is none."""
    found = _HEX.fullmatch(text)
    if found is None:
        return None
    digits = found[1] or "".join(2 * digit for digit in found[2])
    return f"#{digits.lower()}"


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as fault:
        raise SmaltiError(
            f"{path}: does not exist.", "Check the path, or write colors as #rrggbb,#rrggbb.", "palette_missing"
        ) from fault
    except OSError as fault:
        raise SmaltiError(f"{path}: cannot be read ({fault.strerror}).", "Choose a file.", "bad_palette") from fault
    except UnicodeDecodeError as fault:
        raise SmaltiError(
            f"{path}: is not a text.",
            "Choose a palette of GIMP's (.gpl), or a text with one color a line.",
            "bad_palette",
        ) from fault
    gimp = bool(lines) and lines[0].startswith("GIMP Palette")
    colour_of = _gimp_colour if gimp else _hex_colour
    colours = []
    for number, line in enumerate(lines[gimp:], gimp + 1):
        try:
            colour = colour_of(line.strip())
        except ValueError as fault:
            raise SmaltiError(
                f"{path}: line {number} is no color ({line.strip()[:40]!r}).",
                "Put it right, or remove it.",
                "bad_palette",
            ) from fault
        if colour is not None:
            colours.append(colour)
    if not colours:
        raise SmaltiError(f"{path}: holds no color.", "Write one a line, as #rrggbb.", "bad_palette")
    return tuple(dict.fromkeys(colours))


def _hex_colour(line: str) -> str | None:
    """A line of a text: a color, or None for nothing. Raises ValueError."""
    line = re.split(";|//", line)[0].strip()
    if not line:
        return None
    colour = _colour(line)
    if colour is None:
        raise ValueError(line)
    return colour


def _gimp_colour(line: str) -> str | None:
    """A line of a palette of GIMP's: a color, or None for a comment or a property. Raises ValueError."""
    if not line or line.startswith(("#", "Name:", "Columns:")):
        return None
    row = _GIMP_ROW.fullmatch(line)
    levels = [int(level) for level in row.groups()[:3]] if row else [256]
    if max(levels) > 255:
        raise ValueError(line)
    return "#" + "".join(f"{level:02x}" for level in levels)
