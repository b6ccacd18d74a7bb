# SPDX-License-Identifier: GPL-3.0-or-later
"""Which job folders are chosen where the artist has chosen none: before the file is saved, and after that."""

from pathlib import Path

import bpy
import inside

given = inside.arguments()
inside.enable()
job = inside.module("job")
elsewhere = Path(given["folder"]) / "jobs"
target = "/pictures/my cat.jpg"
unsaved = job.new_output(target, elsewhere)
bpy.ops.wm.save_as_mainfile(filepath=str(Path(given["folder"]) / "file.blend"))
first = job.new_output(target, elsewhere)
Path(bpy.path.abspath(first)).mkdir(parents=True)
second = job.new_output(target, elsewhere)
preferences, jobs = inside.module("preferences"), inside.module("jobs")
inside.finish(
    jobs=str(jobs.home()),
    removed=str(preferences.folder()),
    unsaved=unsaved,
    first=first,
    second=second,
    absolute=bpy.path.abspath(second),
)
