# SPDX-License-Identifier: GPL-3.0-or-later
"""What choosing a look does to the settings in the panel. Knows no Blender, for the reason that labels.py gives."""

from __future__ import annotations

from typing import Any

from .bridge.job import JobSpec
from .bridge.looks import LOOKS, changed_by_looks
from .bridge.settings import settings_of


def take_look(settings: Any, _context: Any) -> None:
    """Give every setting that any look sets what this one says, or its own default."""
    chosen = LOOKS[settings.look.lower()].settings
    rows = settings_of(JobSpec)
    for key in changed_by_looks():
        value = chosen.get(key, rows[key].default)
        if key == "background":
            _set_background(settings, value)
        else:
            # In a number that may be left open, 0 stands for that; in a text, nothing.
            open_value = 0 if rows[key].is_number else ""
            setattr(settings, key, open_value if value is None else value)


def _set_background(settings: Any, value: str) -> None:
    if not value.startswith("#"):
        settings.background = value.upper()
        return
    settings.background = 'COLOUR'
    settings.background_colour = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
