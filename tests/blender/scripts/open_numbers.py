# SPDX-License-Identifier: GPL-3.0-or-later
"""Work the check box of a number that may be left open; say what the job has of it after each step."""

import bpy
import inside

inside.enable("")
values, rows = (
    inside.module("values"),
    inside.module("bridge.settings").settings_of(inside.module("bridge.job").JobSpec),
)
settings = bpy.context.scene.smalti
result: dict[str, list[object]] = {}


def note(step: str, name: str = "min_size") -> None:
    number = values.value_of(settings, rows[name])
    result[step] = [number, getattr(settings, f"use_{name}"), getattr(settings, f"{name}_kept")]


note("at first")
note("size at first", "size")
settings.use_min_size = True
note("checked")
settings.min_size = 33
note("changed")
settings.use_min_size = False
note("unchecked")
settings.use_min_size = True
note("checked again")
settings.use_min_size = False
settings.min_size_kept = 44
note("changed in gray")
settings.min_size = 0
note("as in an older file")
inside.finish(**result)
