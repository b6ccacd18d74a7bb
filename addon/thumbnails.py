# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of what was chosen, with its name: of a path, the panel has room for the beginning alone.

Drawing reads no file. It asks for a path, which a thread looks up, every few seconds for as long as it is drawn;
Blender reads the pictures themselves in the background, as it does for its file browser.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import bpy
import bpy.utils.previews

from . import notices
from .picture_files import DRAWINGS, VIDEOS, Pictures, pictures_at

POLL = 0.1  # seconds between two looks at what the thread has found
FRESH = 2.0  # seconds after which a path is looked up again
FORGOTTEN = 6.0  # seconds without being drawn after which it is not
_REMEMBERED = 32  # paths that are not drawn now; when they are again, they are there at once
_SCALE_OF_ONE, _SCALE_OF_SEVERAL = 2.4, 1.6  # heights of the pictures, in buttons: four leave room for a name

_wanted: dict[str, float] = {}  # path -> when it was last drawn
_found: dict[str, Pictures] = {}
_answers: SimpleQueue[dict[str, Pictures]] = SimpleQueue()
_looking: threading.Thread | None = None
_looked_at = 0.0
_icons: Any = None  # Blender's previews


def of(path: str) -> Pictures | None:
    """What there is at an absolute path, as far as is known: None until it was looked up."""
    _wanted[path] = time.monotonic()
    if not bpy.app.background and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=0.0)
    return _found.get(path)


def draw(layout: Any, path: str, noun: str) -> Pictures | None:
    """The pictures at a path of the artist's, and its name; nothing where none is set.

    Args:
        layout: where to.
        path: as the property has it.
        noun: what several of them are: "bitmaps".

    Returns:
        What there is at the path, as far as is known.
    """
    if not path or (path.startswith("//") and not bpy.data.filepath):
        return None
    path = bpy.path.abspath(path)
    found = of(path)
    row = layout.row(align=True)
    if found is None:
        row.label(text=Path(path).name, translate=False)
        return found
    if not found.count:
        text = f"{found.name}: no {noun}" if found.exists else f"{found.name} is not there"
        row.label(text=text, icon='ERROR', translate=False)
        return found
    scale = _SCALE_OF_ONE if found.is_one else _SCALE_OF_SEVERAL
    icons = [icon for each in found.first if (icon := _icon_of(*each)) is not None]
    for icon in icons:
        row.template_icon(icon_value=icon, scale=scale)
    names = row.column(align=True)
    many = noun if found.count > 1 else noun.removesuffix("s")
    texts = [found.name] if found.is_one else [found.name, f"{found.count:,} {many}"]
    names.scale_y = scale / len(texts) if icons else 1.0
    for text in texts:
        names.label(text=text, translate=False)
    return found


def _icon_of(path: str, state: str) -> int | None:
    """Blender's icon of a picture; None where it cannot make one."""
    global _icons
    if bpy.app.background or path.lower().endswith(tuple(DRAWINGS)):
        return None
    if _icons is None:
        _icons = bpy.utils.previews.new()
    key = f"{path} {state}"
    if key not in _icons:
        for old in [each for each in _icons if each.startswith(f"{path} ")]:
            del _icons[old]
        is_film = path.lower().endswith(tuple(VIDEOS))
        _icons.load(key, path, 'MOVIE' if is_film else 'IMAGE')  # the file is read later, by Blender's own thread
    return int(_icons[key].icon_id)


def tick() -> float | None:
    """Take what the thread has found, and send it again. Returns the seconds until the next call, None to stop."""
    global _looking, _looked_at
    now = time.monotonic()
    for path in [path for path, drawn in _wanted.items() if now > drawn + FORGOTTEN]:
        del _wanted[path]
    changed = False
    while (answer := _next(_answers.get_nowait)) is not None:
        changed |= any(_found.get(path) != pictures for path, pictures in answer.items())
        _found.update(answer)
    if changed:
        notices.redraw()
    for path in [path for path in _found if path not in _wanted][:-_REMEMBERED]:
        del _found[path]
    if not _wanted:
        return None
    if _looking is not None and _looking.is_alive():
        return POLL
    if now > _looked_at + FRESH or any(path not in _found for path in _wanted):
        _looked_at = now
        _looking = threading.Thread(target=_look_up, args=([*_wanted],), name="smalti pictures", daemon=True)
        _looking.start()
    return POLL


def _next(take: Callable[[], dict[str, Pictures]]) -> dict[str, Pictures] | None:
    try:
        return take()
    except Empty:
        return None


def _look_up(paths: list[str]) -> None:
    for path in paths:
        _answers.put({path: pictures_at(path)})


def register() -> None:
    """Nothing is there before the first picture is drawn."""


def unregister() -> None:
    """Stop looking, and let the pictures go."""
    global _icons
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    _wanted.clear()
    _found.clear()
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
        _icons = None
