# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit as the settings say, import the result, render it where asked."""

import dataclasses
import os
from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable(os.environ["SMALTI_PYTHON"])
scene = bpy.context.scene
session, imported = inside.module("session"), inside.module("imported")
inside.set_up(given["settings"])
bpy.ops.smalti.fit()
seen: list[tuple[int, float | None]] = []


def ended() -> bool:
    """Whether the fit has ended; notes how far it is, and the seconds that are left."""
    if session.task is not None:
        seen.append((session.task.done, session.task.eta))
    return session.task is None


inside.wait(ended)
steps = max((done for done, _ in seen), default=0)
result = {
    "outcome": dataclasses.asdict(session.outcome),
    "steps_seen": steps,
    "times_seen": any(eta is not None for _, eta in seen),
}
if not session.outcome.failed:
    bpy.ops.smalti.import_layers(camera=True)
    collection = imported.find_collection(scene, Path(given["settings"]["output"]))
    sprites = [o for o in collection.objects if o.type == 'MESH' and "Background" not in o.name]
    result["layers"] = len(sprites)
    result["bitmaps"] = sorted({sprite.name.split(" ", 1)[1] for sprite in sprites})
    result["keys"] = sum(len(keys) for sprite in sprites for keys in inside.curves(sprite).values())
    result["range"] = [scene.frame_start, scene.frame_end]
    for frame, path in given.get("renders", []):
        inside.render(path, frame)
session.close()
inside.finish(**result)
