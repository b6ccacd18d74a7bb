# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to the artist: wrapped text in panels, pop-ups from a timer, errors of operators, redraws."""

from __future__ import annotations

import textwrap
from typing import Any

import blf
import bpy

from .bridge.errors import SmaltiError
from .labels import label_of

_MARGINS = 74  # pixels of a region, at scale 1, that the tabs, the panel's edges and an icon take
_LONGEST = 12  # lines


def lines(layout: Any, context: Any, text: str, icon: str = 'NONE') -> None:
    """Labels with `text`, wrapped to the width of the region; `icon` before the first line."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, part in enumerate(_wrapped(text, context)[:_LONGEST]):
        column.label(text=part, icon=icon if number == 0 or icon == 'NONE' else 'BLANK1', translate=False)


def _wrapped(text: str, context: Any) -> list[str]:
    """Lines of `text` that fit between the region's margins, with room for an icon."""
    scale = context.preferences.system.ui_scale
    width = max(100.0, context.region.width - _MARGINS * scale)
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    found = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".lstrip()
            if line and blf.dimensions(0, longer)[0] > width:
                found.append(line)
                longer = word
            line = longer
        if line:
            found.append(line)
    return found


def failed(operator: Any, fault: SmaltiError) -> set[str]:
    """Report an error with its hint from an operator; returns what its `execute` must return then."""
    operator.report({'ERROR'}, fault.worded(label_of))
    return {'CANCELLED'}


def popup(title: str, text: str, icon: str) -> None:
    """Show a pop-up from outside of an operator; nothing where Blender has no window."""
    manager = bpy.context.window_manager
    if bpy.app.background or not manager.windows:
        return

    def draw(menu: Any, _context: Any) -> None:
        for line in text.splitlines()[:_LONGEST]:
            for part in textwrap.wrap(line, 90):
                menu.layout.label(text=part, translate=False)

    with bpy.context.temp_override(window=manager.windows[0]):
        manager.popup_menu(draw, title=title, icon=icon)


def redraw() -> None:
    """Redraw every region that shows the state of the engine."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type not in {'VIEW_3D', 'PREFERENCES'}:
                continue
            for region in area.regions:
                if region.type == ('UI' if area.type == 'VIEW_3D' else 'WINDOW'):
                    region.tag_redraw()
