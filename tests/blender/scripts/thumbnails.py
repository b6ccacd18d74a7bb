# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose target and bitmaps; say what the panel calls them, before and after the files are looked up and changed."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import bpy
import drawing
import inside

folder = Path(inside.arguments()["folder"])
inside.enable("")
settings = bpy.context.scene.smalti
thumbnails = inside.module("thumbnails")
thumbnails.FRESH = 0.0
result = {"nothing chosen": drawing.drawn()[1]}
picture, bitmaps = folder / "a picture with quite a long name.png", folder / "leaves"
settings.target, settings.primitives = str(picture), str(bitmaps)


def shown() -> Any:
    """The labels about what was chosen, which come first."""
    found = drawing.drawn()[1]
    return [label for label in found[: found.index("Regions")] if label]


def labels() -> Any:
    """The labels, once all was looked up again."""
    drawing.drawn()
    for _ in range(3):
        thumbnails.tick()
        thumbnails._looking.join(5)
        thumbnails.tick()
    return shown()


def refuse(*given: object, **more: object) -> None:
    raise AssertionError(f"a file is asked for in a draw: {given}")


result["before"] = shown()
result["found"] = labels()
(bitmaps / "3.png").unlink()
result["one less"] = labels()
shutil.rmtree(bitmaps)
picture.unlink()
result["gone"] = labels()
bitmaps.mkdir()
result["empty"] = labels()
settings.primitives = str(folder / "of?2/*.png")
result["pattern"] = labels()
settings.target = str(folder / "of 2" / "#.png")
result["pattern of numbers"] = labels()

# The functions that read a disk, away while the panels are drawn.
kept = {name: getattr(os, name) for name in ("stat", "scandir", "listdir")}
for name in kept:
    setattr(os, name, refuse)
began = time.perf_counter()
thumbnails.draw(drawing.Layout(drawing.notes()), str(bitmaps), "bitmaps")
result["seconds"] = time.perf_counter() - began
for name, function in kept.items():
    setattr(os, name, function)
thumbnails._wanted.clear()
result["stops"] = thumbnails.tick() is None
inside.finish(**result)
