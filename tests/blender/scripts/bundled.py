# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit with the engine that came with the extension, import, remove it, and say what took how long and what is left."""

import sys
import time
from pathlib import Path

import bpy
import inside

given = inside.arguments()
bpy.ops.wm.read_homefile(use_empty=True)
if inside.MODULE not in bpy.context.preferences.addons:
    bpy.ops.preferences.addon_enable(module=inside.MODULE)
session = inside.module("session")
place = inside.module("preferences").engine_place()
seconds = {}
bpy.ops.smalti.check_engine()
seconds["hello"] = inside.wait(lambda: session.hello() is not None)
inside.set_up(given["settings"])
bpy.ops.smalti.fit()
seconds["fit"] = inside.wait(lambda: session.task is None)
outcome = session.outcome
began = time.monotonic()
bpy.ops.smalti.import_layers()
seconds["import"] = time.monotonic() - began
layers = len([each for each in bpy.data.objects if each.type == 'MESH'])

inside.set_up({"output": given["settings"]["output"] + " 2", "steps": 100_000})
bpy.ops.smalti.fit()
inside.wait(lambda: session.task is None or session.task.done > 0)
at_work = session.task is not None
addon = sys.modules[inside.MODULE]
unregister = addon.unregister


def timed() -> None:
    """What the add-on does itself when it is disabled, and when Blender quits."""
    began = time.monotonic()
    unregister()
    seconds["unregister"] = time.monotonic() - began


addon.unregister = timed  # type: ignore[attr-defined]
began = time.monotonic()
bpy.ops.preferences.addon_disable(module=inside.MODULE)
seconds["disable"] = time.monotonic() - began  # with what Blender does: it takes the wheels away
bpy.ops.preferences.addon_enable(module=inside.MODULE)
package = Path(inside.module("preferences").__file__).parent
bpy.ops.extensions.package_uninstall(repo_directory=str(package.parent), pkg_id=package.name)
inside.finish(
    is_own=place.python == sys.executable,
    failed=outcome.failed,
    layers=layers,
    at_work=at_work,
    seconds=seconds,
    text=f"{outcome.text} {outcome.hint}",
    left=[str(path) for folder in (package.parent, *map(Path, place.folders)) for path in folder.glob("smalti*")],
)
