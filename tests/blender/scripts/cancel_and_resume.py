# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a job in its middle, by Cancel or by killing the engine; then resume it to its end, and export it."""

import dataclasses
import os
import signal
from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable(os.environ["SMALTI_PYTHON"])
inside.set_up(given["settings"])
session = inside.module("session")
folder = Path(given["settings"]["output"])
result = {}
bpy.ops.smalti.fit()
inside.wait(lambda: session.task is None or session.task.done > 20)
if given["kill"]:
    (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
else:
    bpy.ops.smalti.cancel()
    session.task.cancelling = False  # what the engine says sets it again
    result["acknowledged"] = inside.wait(lambda: session.task is None or session.task.cancelling)
result["after_cancel"] = dataclasses.asdict(inside.wait_for_end())
result["could_resume"] = bpy.ops.smalti.resume.poll()
if not given["kill"]:
    bpy.ops.smalti.import_layers()
    result["layers"] = sum(o.type == 'MESH' and "Background" not in o.name for o in bpy.data.objects)
bpy.ops.smalti.resume()
inside.wait(lambda: session.task is None or session.task.done > 0)
result["done_at_resume"] = session.task.done if session.task else 0
result["after_resume"] = dataclasses.asdict(inside.wait_for_end(400))
result["could_resume_again"] = bpy.ops.smalti.resume.poll()
bpy.ops.smalti.export_psd()
result["after_export"] = dataclasses.asdict(inside.wait_for_end())
session.close()
inside.finish(**result)
