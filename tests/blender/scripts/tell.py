# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit with a given Python; say how that ended and what the panels show then."""

import dataclasses
import time

import bpy
import drawing
import inside

given = inside.arguments()
inside.enable(given["python"])
inside.set_up(given["settings"])
session = inside.module("session")
bpy.ops.smalti.fit()
faults, _ = drawing.drawn()
inside.wait(lambda: session.task is None or session.task.done > 0)
faults += drawing.drawn()[0]
outcome = inside.wait_for_end(20)
more, labels = drawing.drawn()
timer = None
if given["until_timer_ends"]:
    until = time.monotonic() + session.LAST_WORDS + 1
    while (timer := session.tick() is not None) and time.monotonic() < until:
        time.sleep(0.1)
told = {**dataclasses.asdict(outcome), "hint": outcome.advice()}
session.close()
inside.finish(**told, drawing=faults + more, labels=labels, timer=timer)
