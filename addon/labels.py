# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel calls settings and regions. Knows no Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bridge.errors import worded
from .bridge.job import setting_at
from .bridge.settings import Setting

FORMS = (
    ('LAYERS', "Layers", "Each sprite is an object. For up to a few thousand, and to change each by hand"),
    ('MOSAIC', "Mosaic", "All sprites are one object with geometry nodes. For any number, and for effects"),
)
"""What the sprites of an import become: items of an EnumProperty."""


def label_of(key: str) -> str:
    """What the panel calls the setting with a key as in `bridge.errors.named`."""
    return setting_at(key).label


def description_of(one: Setting) -> str:
    """What a setting does, and what it comes to where it is left open."""
    text = worded(one.help, label_of)
    if one.none:
        text += f"; {'unchecked' if one.is_number else 'empty'}: {worded(one.none, label_of)}"
    return text


# Here and not beside the property: Blender holds on to this function to the end, with all that its module names. Were
# bpy among that, some versions of the bpy module would not be freed in time, and crash as Python ends.
def name_after_mask(region: Any, _context: Any) -> None:
    """Call a region by the name of its mask."""
    region.name = Path(region.mask).stem
