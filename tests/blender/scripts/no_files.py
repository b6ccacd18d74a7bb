# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw every panel and ask every button whether it can be pressed, while each look at a disk is an error."""

import builtins
import io
import os
import time
from pathlib import Path
from typing import Any

import bpy
import drawing
import inside

folder = Path(inside.arguments()["folder"])
inside.enable("/some/python")
jobs, session, notices = inside.module("jobs"), inside.module("session"), inside.module("notices")
settings = bpy.context.scene.smalti
bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
settings.target, settings.primitives = str(folder / "a.png"), str(folder)
settings.output = str(folder / "smalti" / "cat")
session.outcome = session.Outcome("cat: finished.", folder=folder / "smalti" / "cat", can_import=True)
jobs.watch.waits = False
asked: list[str] = []
CALLS = (
    (os, "stat"),
    (os, "lstat"),
    (os, "scandir"),
    (os, "listdir"),
    (os, "open"),
    (io, "open"),
    (builtins, "open"),
    (os.path, "exists"),
    (os.path, "isfile"),
    (os.path, "isdir"),
    (Path, "is_file"),
    (Path, "is_dir"),
    (Path, "exists"),
    (Path, "stat"),
)
MAIN = __import__("threading").get_ident()


def refusing(name: str, function: Any) -> Any:
    def refuse(*given: Any, **more: Any) -> Any:
        if __import__("threading").get_ident() == MAIN:
            asked.append(f"{name} {given[:1]}")
            raise AssertionError(f"{name} is called while a panel is drawn")
        return function(*given, **more)

    return refuse


def without_files(work: Any) -> Any:
    """Do `work` while the main thread may not look at a disk."""
    before = [getattr(owner, name) for owner, name in CALLS]
    for (owner, name), function in zip(CALLS, before):
        setattr(owner, name, refusing(name, function))
    try:
        return work()
    finally:
        for (owner, name), function in zip(CALLS, before):
            setattr(owner, name, function)


def polls() -> Any:
    operators = [getattr(bpy.ops.smalti, name) for name in dir(bpy.ops.smalti)]
    return {operator.idname(): operator.poll() for operator in operators}


until, result = time.monotonic() + 20, {}
faults: Any = ["never"]
while time.monotonic() < until:
    without_files(polls)
    faults, labels = without_files(drawing.drawn)
    without_files(jobs.tick)
    if len(bpy.context.window_manager.smalti_jobs) == 2:
        break
    time.sleep(0.02)
result["listed"] = sorted(item.name for item in bpy.context.window_manager.smalti_jobs)
result["labels"] = without_files(drawing.drawn)[1]
result["polls"] = without_files(polls)
settings.output = str(folder / "smalti" / "dog")
result["of an interrupted job"] = without_files(polls)
inside.finish(asked=asked, faults=faults, **result)
