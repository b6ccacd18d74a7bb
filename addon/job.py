# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that the panel's settings describe, and the folder that it goes into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

from .bridge.job import JobSpec
from .values import absolute, values_of

__all__ = ("absolute", "job_of", "new_output", "output_folder")


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
    return JobSpec(**values_of(settings, JobSpec)).checked()
