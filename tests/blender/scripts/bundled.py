# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit with the engine that came with the extension, remove it, and say what is left of it."""

import sys
from pathlib import Path

import bpy
import inside

given = inside.arguments()
bpy.ops.wm.read_homefile(use_empty=True)
if inside.MODULE not in bpy.context.preferences.addons:
    bpy.ops.preferences.addon_enable(module=inside.MODULE)
session = inside.module("session")
place = inside.module("preferences").engine_place()
inside.set_up(given["settings"])
bpy.ops.smalti.fit()
outcome = inside.wait_for_end()
package = Path(inside.module("preferences").__file__).parent
bpy.ops.extensions.package_uninstall(repo_directory=str(package.parent), pkg_id=package.name)
inside.finish(
    is_own=place.python == sys.executable,
    failed=outcome.failed,
    text=f"{outcome.text} {outcome.hint}",
    left=[str(path) for folder in (package.parent, *map(Path, place.folders)) for path in folder.glob("smalti*")],
)
