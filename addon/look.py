# SPDX-License-Identifier: GPL-3.0-or-later
"""What choosing a look does to the settings in the panel. Knows no Blender, for the reason that labels.py gives."""

from __future__ import annotations

from typing import Any

from .bridge.job import JobSpec
from .bridge.looks import LOOKS, changed_by_looks
from .bridge.settings import settings_of
from .hex_colors import color_of
from .optional import OPEN


def take_look(settings: Any, _context: Any) -> None:
    """Give every setting that any look sets what this one says, or its own default."""
    chosen = LOOKS[settings.look.lower()].settings
    rows = settings_of(JobSpec)
    for key in changed_by_looks():
        value = chosen.get(key, rows[key].default)
        if key == "background":
            set_background(settings, value)
        else:
            open_value = OPEN if rows[key].is_number else ""
            setattr(settings, key, open_value if value is None else value)


def set_background(settings: Any, value: str) -> bool:
    """Show a background as the job has it in the three properties that it is chosen with; returns that it can."""
    if value in ("auto", "transparent"):
        settings.background = value.upper()
    elif value.startswith("#"):
        settings.background = 'COLOUR'
        settings.background_colour = color_of(value)
    else:
        settings.background, settings.background_image = 'IMAGE', value
    return True
