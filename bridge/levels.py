# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitmaps reduced to the sizes at which a finished job shows them: ``levels/levels.json`` and the sheets beside it.

A sheet is one PNG for one template. It holds the template's mip levels from the finest to the coarsest that any sprite
shows in any frame, side by side, as plain numbers of the blend space, premultiplied: 8 bits in ``srgb``, 16 in
``linear``. Each level has half the size of the one before, rounded up; around each there are transparent texels. Where
the levels lie follows from the finest one's size, in such a way that a shader can compute it.

A job folder of an earlier version has no sheets, and a template that no sprite shows has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import SmaltiError
from .folder import LEVELS, level_file
from .schema import read_json, write_json

FORMAT = "smalti-levels"
VERSION = 1

BORDER = 1
"""Transparent texels at the least around each level."""
GAP = 4
"""Texels from one level to the next, at the least, rounding included."""
SLACK = 1e-3
"""Subtracted before rounding up, so that a shader in single precision comes to the same whole number."""


@dataclass(frozen=True)
class Sheet:
    """The levels of one template.

    Attributes:
        width, height: of the finest level, texels.
        count: levels.
        source: bytes of the file of the template that they were made from: one that was edited has another size.
    """

    width: int
    height: int
    count: int
    source: int

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the picture."""
        left, _ = place_of(self, self.count - 1)
        return left + size_of(self, self.count - 1)[0] + BORDER, self.height + 2 * BORDER


@dataclass(frozen=True)
class Levels:
    """The contents of ``levels.json``: the sheet of each template of the composition, in its order."""

    sheets: tuple[Sheet | None, ...]


def size_of(sheet: Sheet, level: int) -> tuple[int, int]:
    """Width and height of a level, texels."""
    part = 2.0**-level
    return math.ceil(sheet.width * part - SLACK), math.ceil(sheet.height * part - SLACK)


def place_of(sheet: Sheet, level: int) -> tuple[int, int]:
    """Left and top of a level on its sheet, texels."""
    return BORDER + GAP * level + math.ceil(2 * sheet.width * (1 - 2.0**-level) - SLACK), BORDER


def margin_of(sheet: Sheet | None) -> tuple[float, float]:
    """How far a template's soft edge reaches beyond its square [-1, 1]: half a texel of the coarsest level, u and v.

    Args:
        sheet: the template's; None for one that is shown in full size, whose edge lies within.
    """
    if sheet is None:
        return 0.0, 0.0
    width, height = size_of(sheet, sheet.count - 1)
    return 1 / width, 1 / height


def read_sheets(folder: Path, templates: Sequence[str]) -> tuple[Sheet | None, ...]:
    """The sheet of each template of a job folder; None for one that has none, or was edited since.

    Args:
        templates: the files of the composition's templates, relative to the folder.

    Raises:
        SmaltiError: ``levels.json`` is damaged or of a newer version.
    """
    path = folder / LEVELS
    if not path.is_file():
        return (None,) * len(templates)
    sheets = read_json(path, Levels, FORMAT, VERSION).sheets
    empty = any(sheet and min(sheet.width, sheet.height, sheet.count) < 1 for sheet in sheets)
    if empty or len(sheets) != len(templates):
        raise SmaltiError(f"{path}: does not belong to this composition.", "Fit the job again.", "bad_file")
    return tuple(
        sheet if sheet and _is_of(sheet, folder / template, folder / level_file(index)) else None
        for index, (template, sheet) in enumerate(zip(templates, sheets))
    )


def _is_of(sheet: Sheet, template: Path, levels: Path) -> bool:
    """Whether a sheet is there, and was made from the template as it is now."""
    try:
        return levels.is_file() and template.stat().st_size == sheet.source
    except OSError:
        return False


def write_sheets(folder: Path, sheets: Sequence[Sheet | None]) -> None:
    """Write ``levels.json`` in one step. Raises SmaltiError, code ``"cannot_write"``."""
    write_json(folder / LEVELS, Levels(tuple(sheets)), FORMAT, VERSION)
