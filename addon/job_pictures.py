# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of jobs as icons. Threads read them, so that drawing a panel reads no file, and an icon is never empty:
the picture before is shown until the next is there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import bpy
import bpy.utils.previews

from .bridge.background import Background
from .png import small_picture

SMALL, LARGE = 96, 256
"""Pixels of the longer side, in a list and alone."""
_AT_ONCE = 2  # pictures that become icons at a time
_MOST = 400  # pictures that are kept

_background = Background(most=2)
_stamps: dict[tuple[Path, int], int] = {}  # of what was read, or is being read
_previews: Any = None  # Blender's, by path and size; made with the first


def icon(path: Path | None, stamp: int, longest: int) -> int:
    """The icon of a picture, as it was read last; 0 where there is none yet.

    Args:
        path: the file.
        stamp: changes with the file: then it is read again.
        longest: pixels of its longer side.
    """
    if path is None or bpy.app.background:
        return 0
    key = path, longest
    if _stamps.get(key) != stamp and _background.start((key, stamp), partial(small_picture, path, longest)):
        _stamps[key] = stamp
    name = _name(key)
    return int(_previews[name].icon_id) if _previews is not None and name in _previews else 0


def busy() -> bool:
    """Whether `take` may soon have something."""
    return _background.busy


def take() -> bool:
    """Make icons of what was read. Returns whether there are any. Not while a panel is drawn."""
    global _previews
    changed = False
    for found, pictures in _background.results(_AT_ONCE):
        key, stamp = cast(tuple[tuple[Path, int], int], found)
        if pictures is None or _stamps.get(key) != stamp:
            continue
        if _previews is None:
            _previews = bpy.utils.previews.new()
        name, changed = _name(key), True
        preview = _previews[name] if name in _previews else _previews.new(name)
        for kind, pixels in zip(("image", "icon"), pictures):
            setattr(preview, f"{kind}_size", (pixels.shape[1], pixels.shape[0]))
            getattr(preview, f"{kind}_pixels_float").foreach_set(pixels.ravel())
    while len(_stamps) > _MOST:
        oldest = next(iter(_stamps))
        del _stamps[oldest]
        if _previews is not None and _name(oldest) in _previews:
            del _previews[_name(oldest)]
    return changed


def clear() -> None:
    """Let all pictures go."""
    global _previews
    _stamps.clear()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None


def _name(key: tuple[Path, int]) -> str:
    return f"{key[1]} {key[0]}"
