# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to the artist: wrapped text in panels, a line in the status bar, errors of operators, redraws."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import blf
import bpy

from .bridge.errors import SmaltiError, worded
from .labels import label_of
from .translation import translated

_MARGINS = 86  # pixels of a region, at scale 1, that the tabs, the panel's edges and an icon take
LONGEST = 12
"""Lines of a text that are shown."""
_MOST = 2000  # characters of a text that are looked at
_STATUS_SECONDS = 8.0
_REDRAW = 0.25  # seconds between two redraws, at least

_redrawn = 0.0


def lines(layout: Any, context: Any, text: str, icon: str = 'NONE') -> None:
    """Labels with `text`, wrapped to the width of the region; `icon` before the first line."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, part in enumerate(wrapped(translated(text), context)[:LONGEST]):
        column.label(text=part, icon=icon if number == 0 or icon == 'NONE' else 'BLANK1', translate=False)


def showable(text: str) -> str:
    """A text that Blender can draw: file names may hold what is no character."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def wrapped(text: str, context: Any) -> list[str]:
    """Lines of `text` that fit between the region's margins, with room for an icon."""
    scale = context.preferences.system.ui_scale
    width = max(100.0, context.region.width - _MARGINS * scale)
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    found = []
    for paragraph in showable(text[:_MOST]).splitlines():
        line = ""
        for word in _short_enough(paragraph.split(), width):
            longer = f"{line} {word}".lstrip()
            if line and blf.dimensions(0, longer)[0] > width:
                found.append(line)
                longer = word
            line = longer
        if line:
            found.append(line)
    return found


def _short_enough(words: list[str], width: float) -> Iterator[str]:
    """The words, in parts where one of them is wider than a line: a path."""
    for word in words:
        rest = word
        while blf.dimensions(0, rest)[0] > width and len(rest) > 1:
            lengths = range(1, len(rest))
            fits = max(1, bisect_right(lengths, width, key=lambda n, rest=rest: blf.dimensions(0, rest[:n])[0]))
            yield rest[:fits]
            rest = rest[fits:]
        yield rest


def failed(operator: Any, fault: SmaltiError) -> set[str]:
    """Report an error with its hint from an operator; returns what its `execute` must return then."""
    text = " ".join(translated(worded(part, label_of)) for part in fault.marked if part)
    operator.report({'ERROR'}, showable(text))
    return {'CANCELLED'}


def status(text: str) -> None:
    """Show a line in the status bar for a while, wherever the artist works; nothing where Blender has no window."""
    if bpy.app.background:
        return
    for window in bpy.context.window_manager.windows:
        with bpy.context.temp_override(window=window):
            window.workspace.status_text_set(showable(f"Smalti: {text}"))
    if not bpy.app.timers.is_registered(clear_status):
        bpy.app.timers.register(clear_status, first_interval=_STATUS_SECONDS, persistent=True)


def clear_status() -> None:
    """Let the status bar show what it usually does."""
    windows = bpy.context.window_manager.windows
    if not windows:
        return
    # Blender crashes where there is no current window, as when it is quit while that of a render is open.
    with bpy.context.temp_override(window=windows[0]):
        for workspace in bpy.data.workspaces:
            workspace.status_text_set(None)


def unregister() -> None:
    """Leave the status bar as it was."""
    if bpy.app.timers.is_registered(clear_status):
        bpy.app.timers.unregister(clear_status)
        clear_status()
    if bpy.app.timers.is_registered(_redraw_late):
        bpy.app.timers.unregister(_redraw_late)


def _redraw_late() -> None:
    redraw(at_once=True)


def redraw(at_once: bool = False) -> None:
    """Redraw every region that shows the state of the engine, at most every `_REDRAW` seconds unless `at_once`."""
    global _redrawn
    if bpy.app.background:
        return
    wait = _redrawn + _REDRAW - time.monotonic()
    if wait > 0 and not at_once:
        if not bpy.app.timers.is_registered(_redraw_late):
            bpy.app.timers.register(_redraw_late, first_interval=wait, persistent=True)
        return
    _redrawn = time.monotonic()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type not in {'VIEW_3D', 'PREFERENCES'}:
                continue
            for region in area.regions:
                if region.type == ('UI' if area.type == 'VIEW_3D' else 'WINDOW'):
                    region.tag_redraw()
