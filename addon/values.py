# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's properties as values of settings, and back.

    spec = JobSpec(**values_of(scene.smalti, JobSpec))     # what the panel says
    not_taken = set_values(scene.smalti, spec)             # into the panel what a job says

`value_of` and `set_value` do it for one setting. `owner` is a property group: the scene's settings, or one of its
regions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from . import palettes
from .bridge.choices import everyday
from .bridge.errors import SmaltiError
from .bridge.region import RegionSpec
from .bridge.settings import Setting, listed, settings_of
from .hex_colors import code_of
from .look import set_background
from .optional import OPEN
from .properties import LOSSES


def absolute(path: str, name: str) -> str:
    """A path of the artist's as an absolute one; empty stays empty.

    Raises:
        SmaltiError: it is relative to the Blender file, and that is not saved yet. `name` is what it calls the path.
    """
    if path.startswith("//") and not bpy.data.filepath:
        raise SmaltiError(f"{name} is relative to the Blender file, and that is not saved yet.", "Save the file first.")
    return os.path.abspath(bpy.path.abspath(path)) if path else ""


def values_of(owner: Any, kind: type, of: str = "") -> dict[str, Any]:
    """What the panel says of the settings of `kind` (a job's or a region's) that it shows, by their names.

    Args:
        owner: the property group.
        kind: JobSpec or RegionSpec.
        of: put after the names of paths in messages: " of region 2".

    Raises:
        SmaltiError: a path cannot be made absolute yet, or one is missing.
    """
    return {name: value_of(owner, one, of) for name, one in settings_of(kind).items() if one.page is not None}


def value_of(owner: Any, one: Setting, of: str = "") -> Any:
    """What the panel says of a setting, as the job has it; see `values_of`."""
    if one.name in _OWN:
        return _OWN[one.name].read(owner)
    value = getattr(owner, one.name)
    if one.path:
        value = absolute(value, one.label + of)
    elif one.choices is not None:
        value = value.lower()
    return (value or None) if one.optional else value


def set_values(owner: Any, spec: Any) -> list[Setting]:
    """Show in the panel what a job (or a region) says.

    Args:
        owner: the property group.
        spec: a JobSpec or a RegionSpec.

    Returns:
        The settings that the panel cannot show as they are: those without a property, unless they are at their
        defaults, and those with a value that it does not offer. Their properties are at their defaults then.
    """
    rows = settings_of(type(spec))
    # First what changes other properties as it is set.
    order = sorted(rows.values(), key=lambda one: one.name not in _OWN)
    return [one for one in order if not set_value(owner, one, getattr(spec, one.name))]


def set_value(owner: Any, one: Setting, value: Any) -> bool:
    """Show the value of a setting in the panel; returns whether it can, see `set_values`."""
    if one.page is None:
        return bool(value == one.default)
    done = _OWN[one.name].write(owner, value) if one.name in _OWN else _set_plain(owner, one, value)
    if not done:
        owner.property_unset(one.name)
    return done


def _set_plain(owner: Any, one: Setting, value: Any) -> bool:
    if one.is_number:
        return _set_number(owner, one, value)
    if one.several:
        value = listed(value)
        if len(value) > 1:
            return False
        value = value[0] if value else None
    if one.choices is not None:
        if value not in everyday(one.choices):
            return False
        value = value.upper()
    setattr(owner, one.name, "" if value is None else value)
    return True


def _set_number(owner: Any, one: Setting, value: Any) -> bool:
    if isinstance(value, str):  # a length on paper
        return False
    row = owner.bl_rna.properties[one.name]
    shown = OPEN if value is None else round(value) if row.type == 'INT' else value
    if value is not None and (shown != value or not row.hard_min <= value <= row.hard_max):
        return False
    setattr(owner, one.name, shown)
    return True


def _background(settings: Any) -> str:
    if settings.background == 'COLOUR':
        return code_of(settings.background_colour)
    if settings.background != 'IMAGE':
        return str(settings.background.lower())
    path = absolute(settings.background_image, "The background's image")
    if not path:
        raise SmaltiError("The background is an image, and none is chosen.", "Choose one, or another background.")
    return path


def _font(settings: Any) -> str | None:
    return absolute(settings.font, "The font") or None if settings.text or settings.text_file else None


def _set_font(settings: Any, value: str | None) -> bool:
    settings.font = value or ""
    return True


def _set_loss(settings: Any, value: str) -> bool:
    name = next((name for name, loss in LOSSES.items() if loss == value), None)
    settings.loss = name or next(iter(LOSSES))
    return name is not None


def _set_look(settings: Any, value: str) -> bool:
    settings.look = value.upper()
    return True


def _palette(settings: Any) -> tuple[str, ...] | None:
    if settings.blender_palette is None:
        return palettes.typed_codes(settings.palette) or None
    codes = palettes.codes_of(settings.blender_palette)
    if not codes:
        name = settings.blender_palette.name
        raise SmaltiError(f"The palette {name} has no colors.", "Add one, or choose no palette.")
    return codes


def _set_palette(settings: Any, value: tuple[str, ...] | None) -> bool:
    settings.blender_palette, settings.palette = None, ", ".join(value or ())
    return True


def _regions(settings: Any) -> tuple[RegionSpec, ...]:
    numbered = enumerate(settings.regions, 1)
    return tuple(RegionSpec(**values_of(region, RegionSpec, f" of region {number}")) for number, region in numbered)


def _set_regions(settings: Any, value: tuple[RegionSpec, ...]) -> bool:
    settings.regions.clear()
    settings.region_index = 0
    not_taken = [set_values(settings.regions.add(), region) for region in value]
    return not any(not_taken)


@dataclass(frozen=True)
class _Own:
    """How a setting is read and set that is made of another property, or of several."""

    read: Callable[[Any], Any]
    write: Callable[[Any, Any], bool]


_OWN: Mapping[str, _Own] = {
    "look": _Own(lambda settings: settings.look.lower(), _set_look),
    "background": _Own(_background, set_background),
    "font": _Own(_font, _set_font),
    "loss": _Own(lambda settings: LOSSES[settings.loss], _set_loss),
    "palette": _Own(_palette, _set_palette),
    "regions": _Own(_regions, _set_regions),
}
"""The look comes first, as it changes others."""
