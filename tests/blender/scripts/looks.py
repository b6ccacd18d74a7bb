# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel's job is after each look is chosen, one after another, and the first one again."""

import bpy
import inside

inside.enable("")
settings = bpy.context.scene.smalti
inside.set_up(inside.arguments()["settings"])
job, schema = inside.module("job"), inside.module("bridge.schema")
names = [item.identifier for item in settings.bl_rna.properties["look"].enum_items]
jobs = []
for name in (*names, names[0]):
    settings.look = name
    jobs.append(schema.to_mapping(job.job_of(settings)))
inside.finish(jobs=jobs)
