# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the path of some bitmaps stands for: itself, those of a folder, or those of a pattern."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from smalti.bridge.errors import SmaltiError

from ..files.images import list_images, natural_order
from .svg import ENDINGS


@dataclass(frozen=True)
class BitmapFiles:
    """The files of one path.

    Attributes:
        path: the path.
        files: at least one.
        is_one: whether the path is that of a file itself, which must be good.
    """

    path: Path
    files: list[Path]
    is_one: bool


def bitmap_files(path: Path) -> BitmapFiles:
    """The files of a path, in natural order of their names.

    A path in which there is ``*``, ``?`` or ``[`` is a pattern, unless there is a file or folder of that very name;
    ``**`` stands for any number of folders. A folder that fits a pattern stands for its pictures.

    Raises:
        SmaltiError: as `list_images`; or nothing fits the pattern (code ``"no_pictures"``).
    """
    if path.is_dir():
        return BitmapFiles(path, list_images(path, more=ENDINGS), False)
    if not glob.has_magic(str(path)) or path.exists():
        return BitmapFiles(path, [path], True)
    found = sorted(map(Path, glob.glob(str(path), recursive=True)), key=lambda each: natural_order(each.name))
    files = [file for each in found for file in _files_at(each)]
    if not files:
        raise SmaltiError(
            f"{path}: no picture fits this pattern.",
            "Check it; * stands for any letters within a name.",
            "no_pictures",
        )
    return BitmapFiles(path, list(dict.fromkeys(files)), False)


def _files_at(path: Path) -> list[Path]:
    """A file that fits a pattern, or the pictures of a folder that does, if it holds any."""
    if not path.is_dir():
        return [path]
    try:
        return list_images(path, more=ENDINGS)
    except SmaltiError:
        return []
