# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that the panel's settings describe, and the folder that it goes into."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from .bridge.errors import SmaltiError
from .bridge.job import JobSpec, RegionSpec
from .bridge.settings import Setting, settings_of
from .properties import LOSSES


def absolute(path: str, name: str) -> str:
    """A path of the artist's as an absolute one; empty stays empty.

    Raises:
        SmaltiError: it is relative to the Blender file, and that is not saved yet. `name` is what it calls the path.
    """
    if path.startswith("//") and not bpy.data.filepath:
        raise SmaltiError(f"{name} is relative to the Blender file, and that is not saved yet.", "Save the file first.")
    return os.path.abspath(bpy.path.abspath(path)) if path else ""


def output_folder(scene: Any) -> Path | None:
    """The scene's job folder, or None where none is set (or none can be said before the file is saved)."""
    path = scene.smalti.output
    if not path or (path.startswith("//") and not bpy.data.filepath):
        return None
    return Path(absolute(path, "The output folder"))


def new_output(target: str, elsewhere: Path) -> str:
    """A job folder that is not there yet, named after the target, for an artist who has chosen none.

    It lies beside the Blender file (as a path that moves with it), or in `elsewhere` before that is saved.
    """
    parent = "//smalti/" if bpy.data.filepath else f"{elsewhere}{os.sep}"
    name = Path(target).stem or "smalti"
    number = 1
    while os.path.exists(bpy.path.abspath(path := f"{parent}{name}{f' {number}' if number > 1 else ''}")):
        number += 1
    return path


def job_of(settings: Any) -> JobSpec:
    """The job that the settings describe. Raises SmaltiError where one is missing or out of its range."""
    return JobSpec(**_given(settings, JobSpec, "", _CONVERTED)).checked()


def _given(owner: Any, kind: type, of: str, converted: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """What a property group says of the settings of `kind`; `of` is put after their names in messages."""
    return {
        name: converted[name](owner) if name in converted else _plain(getattr(owner, name), one, of)
        for name, one in settings_of(kind).items()
        if one.page is not None
    }


def _plain(value: Any, one: Setting, of: str) -> Any:
    """The value of a property, as its setting has it."""
    if one.path:
        value = absolute(value, one.label + of)
    elif one.choices is not None:
        value = value.lower()
    elif one.kind is tuple:
        value = tuple(part.strip() for part in value.split(",") if part.strip())
    return (value or None) if one.optional else value


def _background(settings: Any) -> str:
    if settings.background == 'COLOUR':
        return "#" + "".join(f"{round(c * 255):02x}" for c in settings.background_colour)
    if settings.background != 'IMAGE':
        return str(settings.background.lower())
    path = absolute(settings.background_image, "The background's image")
    if not path:
        raise SmaltiError("The background is an image, and none is chosen.", "Choose one, or another background.")
    return path


def _regions(settings: Any) -> tuple[RegionSpec, ...]:
    numbered = enumerate(settings.regions, 1)
    return tuple(RegionSpec(**_given(region, RegionSpec, f" of region {number}", {})) for number, region in numbered)


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "background": _background,
    "font": lambda settings: (
        absolute(settings.font, "The font") or None if settings.text or settings.text_file else None
    ),
    "loss": lambda settings: LOSSES[settings.loss],
    "regions": _regions,
}
"""Settings that are made of another property, or of several."""
