# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a job, open a new file, pretend to render, cancel the job, and wait until the engine is let go."""

import time
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable(given["python"])
inside.set_up(given["settings"])
session = inside.module("session")
bpy.ops.smalti.fit()
inside.wait(lambda: session.task.done > 0)
result: dict[str, Any] = {"running": [session.task.done, session.task.total]}
bpy.ops.wm.read_homefile(use_empty=True)
result["after_new"] = [session.task.done, session.task.total]
result["output"] = bpy.context.scene.smalti.output
result["timer_after_new"] = bpy.app.timers.is_registered(session.tick)

for handler in bpy.app.handlers.render_init:
    handler(bpy.context.scene, None)
bpy.ops.smalti.cancel()
until = time.monotonic() + 1
while time.monotonic() < until:
    session.tick()
    time.sleep(0.05)
result["heard_while_rendering"] = session.task is None
for handler in bpy.app.handlers.render_complete:
    handler(bpy.context.scene, None)
result["text"] = inside.wait_for_end(20).text

session.IDLE_LIMIT = 0.2
until = time.monotonic() + 10
while (timer := session.tick() is not None) and time.monotonic() < until:
    time.sleep(0.05)
result["alive_when_idle"] = session.hello() is not None
result["timer_when_idle"] = timer
inside.finish(**result)
