# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of the main panel: the buttons that begin a job, how far it is, and how it ended.

It has the same rows while a job is at work and after it has ended well, so that nothing below moves and no button comes
to lie where another was: a click that comes too late hits nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import bpy

from . import estimates, job, job_pictures, jobs, notices, preferences, result, session
from .bridge.errors import SmaltiError
from .bridge.schema import to_mapping

PICTURE = 8.0  # height of the picture, in buttons
_LINES = 2  # of text, while a job is at work and after it; more where a fault needs them
_LONGEST = 7  # lines of a fault: the log, which may come last, is for others
_WARNINGS = 3  # that are shown


def draw(layout: Any, context: Any) -> None:
    """Buttons, progress or outcome, and the picture."""
    _draw_buttons(layout, context)
    task, outcome = session.task, session.outcome
    if task is not None:
        _draw_task(layout, context, task)
    elif outcome.text:
        _draw_outcome(layout, context, outcome)
    else:
        _draw_left(layout, context)
    for warning in outcome.warnings[-_WARNINGS:]:
        notices.lines(layout, context, warning, 'ERROR')
    if len(outcome.warnings) > _WARNINGS:
        layout.label(text=f"{len(outcome.warnings) - _WARNINGS} more warnings in the log", translate=False)
    _draw_picture(layout)


def _draw_buttons(layout: Any, context: Any) -> None:
    if preferences.engine_place() is None:
        show = layout.operator("preferences.addon_show", text="Set Up the Engine", icon='PREFERENCES')
        show.module = __package__
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator("smalti.fit", icon='PLAY')
    output = job.output_folder(context.scene)
    resumable = next((folder for folder in (session.outcome.folder, output) if jobs.can_resume(folder)), None)
    if resumable is not None and session.task is None:
        row.operator("smalti.resume_job").folder = str(resumable)
    layout.label(text=_time(context), translate=False)


def _time(context: Any) -> str:
    """What is known of the time that a fit takes: what is left of it, or an estimate."""
    task = session.task
    if task is not None:
        if task.cancelling:
            return "Stopping..."
        return "" if task.eta is None else f"{session.duration(task.eta)} left"
    try:
        return estimates.of(to_mapping(job.job_of(context.scene.smalti)))
    except SmaltiError:
        return estimates.of(None)


def _draw_task(layout: Any, context: Any, task: session.Task) -> None:
    # As many rows as of an outcome.
    text = notices.showable((task.stage or "starting").capitalize())
    if task.total > 0:
        text += f"  {task.done:,} / {task.total:,}"
    row = layout.row(align=True)
    row.progress(factor=task.fraction, type='BAR', text=text, translate=False)
    row.operator("smalti.cancel", text="", icon='X')
    layout.label(text=next(iter(notices.wrapped(task.name, context)), ""), translate=False)
    layout.label(text="")


def _draw_outcome(layout: Any, context: Any, outcome: session.Outcome) -> None:
    advice = outcome.advice()
    text = f"{outcome.text}\n{advice}" if advice else outcome.text
    if outcome.failed and outcome.folder is not None:
        text = f"{outcome.folder.name}: {text}"
    lines = notices.wrapped(text, context)
    icon = 'ERROR' if outcome.failed else 'INFO'
    for number, line in enumerate([*lines, *[""] * (_LINES - len(lines))][:_LONGEST]):
        layout.label(text=line, icon='BLANK1' if number else icon, translate=False)
    if outcome.can_import:
        result.draw_import(layout, context.scene, outcome.folder)
    else:
        layout.label(text="")


def _draw_left(layout: Any, context: Any) -> None:
    """What is in the output folder from before: of another Blender, or of this one before the extension was updated."""
    folder = job.output_folder(context.scene)
    state = jobs.state(folder)
    if folder is not None and state == "interrupted":
        notices.lines(layout, context, f"{folder.name} was interrupted. {session.RESUME}", 'INFO')
    elif folder is not None and state == "not_begun":
        notices.lines(layout, context, f"{folder.name} has not begun. {session.BEGIN_AGAIN}", 'INFO')


def _draw_picture(layout: Any) -> None:
    if bpy.app.background:
        return
    icon = job_pictures.icon(session.preview, session.preview_count, job_pictures.LARGE)
    if icon:
        layout.template_icon(icon_value=icon, scale=PICTURE)
    elif session.task is not None and session.task.kind != "export":
        layout.template_icon(icon_value=_blank(), scale=PICTURE)  # its room, before there is a picture


@cache
def _blank() -> int:
    return int(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items['BLANK1'].value)
