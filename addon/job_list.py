# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's list of jobs."""

import time
from pathlib import Path
from typing import Any

import bpy

from . import job_operators, job_pictures, jobs, session
from .bridge.job_list import FoundJob
from .result import draw_import

STATES = {
    "at_work": ("At work", 'TIME'),
    "interrupted": ("Interrupted", 'PAUSE'),
    "finished": ("Finished", 'CHECKMARK'),
    "not_begun": ("Not begun", 'DOT'),
}
"""What the panel calls a state, and its icon."""


def when(changed: float, now: float) -> str:
    """A time in words, by the clock of this place: "14:05", "yesterday 14:05", "Nov 21"; with the year if another."""
    then, today = time.localtime(changed), time.localtime(now)
    clock = time.strftime("%H:%M", then)
    if then[:3] == today[:3]:
        return clock
    if then[:3] == time.localtime(now - 86_400)[:3]:
        return f"yesterday {clock}"
    day = f"{time.strftime('%b', then)} {then.tm_mday}"
    return day if then.tm_year == today.tm_year else f"{day}, {then.tm_year}"


class SMALTI_UL_jobs(bpy.types.UIList):
    """Jobs, the newest first, each with its picture and how far it is"""

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        icon: int,
        active_data: Any,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        found = jobs.watch.at(Path(item.folder))
        row = layout.row()
        if found is None:
            row.label(text=item.name, icon='BLANK1', translate=False)
            return
        picture = job_pictures.icon(found.picture, found.picture_stamp, job_pictures.SMALL)
        if picture:
            row.label(text=item.name, icon_value=picture, translate=False)
        else:
            row.label(text=item.name, icon='IMAGE_DATA', translate=False)
        state = row.row()
        state.alignment = 'RIGHT'
        count = "" if found.sprites is None else f"{found.sprites:,}"
        state.label(text=count, icon=STATES[_state(found)][1], translate=False)


def _state(found: FoundJob) -> str:
    """How far a job is; one that this Blender's engine prepares is at work too."""
    return "at_work" if _is_mine(found) else found.state


def _is_mine(found: FoundJob) -> bool:
    task = session.task
    return task is not None and task.kind != "export" and task.folder == found.folder


class SMALTI_PT_jobs(bpy.types.Panel):
    """The jobs beside the Blender file, the output and what was imported"""

    bl_idname = "SMALTI_PT_jobs"
    bl_label = "Jobs"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "Smalti"
    bl_parent_id = "SMALTI_PT_main"
    bl_options = {'DEFAULT_CLOSED'}

    def draw(self, context: Any) -> None:
        layout = self.layout
        manager = context.window_manager
        found = jobs.chosen()
        if not manager.smalti_jobs:
            layout.label(text="No jobs yet", icon='INFO')
            return
        row = layout.row()
        row.template_list(
            SMALTI_UL_jobs.__name__, "", manager, "smalti_jobs", manager, "smalti_job_index", rows=5, maxrows=8
        )
        buttons = row.column(align=True)
        buttons.enabled = found is not None
        for operator, icon in (
            (job_operators.SMALTI_OT_take_settings, 'PRESET'),
            (job_operators.SMALTI_OT_duplicate_job, 'DUPLICATE'),
            (job_operators.SMALTI_OT_open_job, 'FILE_FOLDER'),
            (job_operators.SMALTI_OT_remove_job, 'TRASH'),
        ):
            button = buttons.operator(operator.bl_idname, text="", icon=icon)
            button.folder = str(found.folder) if found else ""
        # In a place of its own, so that nothing else is there when a job ends just before the click.
        buttons.separator()
        stop = buttons.row()
        stop.enabled = found is not None and _is_mine(found)
        stop.operator("smalti.cancel", text="", icon='X')
        if found is not None:
            _draw_chosen(layout, context, found)


def _draw_chosen(layout: Any, context: Any, found: FoundJob) -> None:
    """The chosen job's picture, what there is to know of it, and what to do with it."""
    state = _state(found)
    row = layout.row()
    picture = job_pictures.icon(found.picture, found.picture_stamp, job_pictures.SMALL)
    if picture:
        row.template_icon(icon_value=picture, scale=3.0)
    else:
        row.label(text="", icon='IMAGE_DATA')
    column = row.column(align=True)
    column.label(text=found.name, translate=False)
    column.label(text=f"{STATES[state][0]}, {when(found.changed, time.time())}", translate=False)
    column.label(text="" if found.sprites is None else f"{found.sprites:,} sprites", translate=False)
    row = layout.row(align=True)
    row.enabled = state != "at_work"
    begin = job_operators.SMALTI_OT_run_job if state == "not_begun" else job_operators.SMALTI_OT_resume_job
    if state != "finished":
        row.operator(begin.bl_idname, icon='PLAY').folder = str(found.folder)
    if found.importable:
        draw_import(row, context.scene, found.folder)


register, unregister = bpy.utils.register_classes_factory((SMALTI_UL_jobs, SMALTI_PT_jobs))
