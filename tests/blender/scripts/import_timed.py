# SPDX-License-Identifier: GPL-3.0-or-later
"""Import jobs, the last one twice, and say how long each import took until the scene was up to date."""

import time

import bpy
import inside

jobs = inside.arguments()["jobs"]
inside.enable()
seconds = []
for job in [*jobs, jobs[-1]]:
    began = time.perf_counter()
    bpy.context.scene.smalti.output = job
    bpy.ops.smalti.import_layers()
    bpy.context.view_layer.update()
    seconds.append(time.perf_counter() - began)
inside.finish(seconds=seconds)
