# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures on disk by their names: which there are at a path, and how to call them. Knows no Blender."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path

DRAWINGS = frozenset({".svg", ".svgz"})
PICTURES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp"}
    | {".tga", ".psd", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".dds", ".sgi", ".pcx", ".qoi"}
)
"""Endings of the pictures that the engine reads and that are offered."""
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"})
"""Endings of films, of those that the engine reads the usual ones."""
_NUMBERS = re.compile(r"#+|%0?\d*d")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*\.[^.]+)")
SHOWN = 4
"""Pictures of a folder that are looked at."""


@dataclass(frozen=True)
class Pictures:
    """What there is at a path.

    Attributes:
        name: that of the file or folder, or the last part of a pattern.
        count: how many pictures; 0 where there is nothing of use.
        is_one: whether the path is that of a picture itself.
        exists: whether there is anything at the path.
        first: the first pictures, at most `SHOWN`, each with what changes when the file does.
        frames: of a picture itself, how many there are of the sequence to which its number belongs; 1 where it is
            alone.
    """

    name: str
    count: int = 0
    is_one: bool = False
    exists: bool = False
    first: tuple[tuple[str, str], ...] = ()
    frames: int = 1


def natural_order(path: str) -> list[str | int]:
    """A key that sorts names in natural order ("2" before "10"), as the engine does."""
    name = os.path.basename(path)
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())]


def is_picture(path: str) -> bool:
    """Whether a file is a picture or a drawing, by its ending."""
    return os.path.splitext(path)[1].lower() in PICTURES | DRAWINGS


def pictures_in(folder: str) -> list[str]:
    """The paths of all pictures and drawings in a folder, in natural order. Raises OSError."""
    with os.scandir(folder) as entries:
        found = [each.path for each in entries if is_picture(each.name) and each.name[0] != "." and each.is_file()]
    return sorted(found, key=natural_order)


def sequence_of(path: str) -> list[str]:
    """The frames among which a picture is by the last number in its name: those with the numbers next to it, and so on.

    In their order; itself where it is alone. Raises OSError.
    """
    folder, name = os.path.split(path)
    parts = _NUMBERED.fullmatch(name)
    if parts is None:
        return [path]
    found = {int(parts[2]): path}
    with os.scandir(folder or ".") as entries:
        for each in entries:
            other = _NUMBERED.fullmatch(each.name)
            if other is not None and (other[1], other[3].lower()) == (parts[1], parts[3].lower()):
                found.setdefault(int(other[2]), os.path.join(folder, each.name))
    first = last = int(parts[2])
    while first - 1 in found:
        first -= 1
    while last + 1 in found:
        last += 1
    return [found[number] for number in range(first, last + 1)]


def number_of(path: str) -> int | None:
    """The last number in the name of a file; None without any."""
    parts = _NUMBERED.fullmatch(os.path.basename(path))
    return int(parts[2]) if parts else None


def is_whole_folder(paths: list[str]) -> bool:
    """Whether these are all pictures of their folder, in the order in which the engine takes them. Raises OSError."""
    folders = {os.path.dirname(path) for path in paths}
    return len(folders) == 1 and pictures_in(folders.pop()) == paths


def pictures_at(path: str) -> Pictures:
    """What there is at an absolute path: a picture, a folder of them, or a pattern. Reads the disk; never raises."""
    name = Path(path).name
    try:
        if os.path.isdir(path):
            return _several(name, pictures_in(path))
        if os.path.isfile(path):
            return Pictures(name, 1, True, True, ((path, _state_of(path)),), len(sequence_of(path)))
        if _NUMBERS.search(name):  # as the engine has it in targets; here any number will do
            path = os.path.join(os.path.dirname(path), _NUMBERS.sub("[0-9]*", name))
        if glob.has_magic(path):
            return _several(name, sorted(filter(is_picture, glob.glob(path, recursive=True)), key=natural_order))
    except OSError:
        pass
    return Pictures(name)


def _several(name: str, paths: list[str]) -> Pictures:
    first = tuple((path, _state_of(path)) for path in paths[:SHOWN])
    return Pictures(name, len(paths), False, True, first)


def _state_of(path: str) -> str:
    found = os.stat(path)
    return f"{found.st_mtime_ns} {found.st_size}"
