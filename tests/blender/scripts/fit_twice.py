# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit into the same folder three times, the last time with leave to overwrite."""

import dataclasses
import os

import bpy
import inside

inside.enable(os.environ["SMALTI_PYTHON"])
inside.set_up(inside.arguments()["settings"])
outcomes = []
for overwrite in (False, False, True):
    bpy.ops.smalti.fit(overwrite=overwrite)
    outcomes.append(dataclasses.asdict(inside.wait_for_end()))
inside.module("session").close()
inside.finish(first=outcomes[0], second=outcomes[1], third=outcomes[2])
