# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable the extension, draw its panels, start its engine, disable it; compare what Blender holds before and after."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import bpy
import inside
from drawing import drawn


def held() -> Any:
    """Everything that an extension can leave behind."""
    handlers = {
        name: len(found) for name in dir(bpy.app.handlers) if isinstance(found := getattr(bpy.app.handlers, name), list)
    }
    return {
        "types": {name for name in dir(bpy.types) if "smalti" in name.lower()},
        "operators": set(dir(bpy.ops.smalti)),
        "properties": {
            f"{kind}.{p.identifier}"
            for kind in ("Scene", "WindowManager", "Object", "Collection")
            for p in getattr(bpy.types, kind).bl_rna.properties
            if not p.identifier.startswith("bl_")
        },
        "handlers": handlers,
        "timers": bool("session" in globals() and bpy.app.timers.is_registered(globals()["session"].tick)),
        "menus": {
            name: len(found)
            for name in dir(bpy.types)
            if (found := getattr(getattr(getattr(bpy.types, name), "draw", None), "_draw_funcs", None)) is not None
        },
        "modules": {name for name in sys.modules if name.startswith(inside.MODULE)},
        "processes": set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
        if sys.platform == "linux"
        else set(),
        "threads": {t.name for t in threading.enumerate() if t.is_alive() and "smalti" in t.name},
    }


inside.enable(os.environ["SMALTI_PYTHON"])
session = inside.module("session")
bpy.ops.preferences.addon_disable(module=inside.MODULE)
before = held()
inside.enable(os.environ["SMALTI_PYTHON"])
session = inside.module("session")
faults, _ = drawn()
bpy.ops.smalti.check_engine()
inside.wait(lambda: session.hello() is not None or session.outcome.failed)
assert session.hello(), session.outcome
faults += drawn()[0]
during = held()
bpy.ops.preferences.addon_disable(module=inside.MODULE)
for thread in [each for each in threading.enumerate() if "smalti" in each.name]:  # which ends the engine
    thread.join(5)
after = held()

# A module stays loaded when an add-on is disabled; Blender wants it so.
left = {
    name: [str(before[name]), str(after[name])] for name in before if name != "modules" and before[name] != after[name]
}
added = [name for name in before if before[name] != during[name]]
inside.finish(
    drawn=faults,
    added=added,
    left=left,
    engine_ran=len(during["processes"]) == 1 or sys.platform != "linux",
)
