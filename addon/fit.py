# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's main panel: what to fit, the buttons that start and stop it, and how far it is."""

from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
from bpy.props import BoolProperty

from . import job, notices, pages, preferences, presets, regions, session
from .bridge import folder as files
from .bridge.errors import SmaltiError
from .bridge.protocol import Export, Fit, Resume
from .bridge.region import needs_bitmaps
from .bridge.schema import to_mapping

_previews = None  # pictures of the running job, as icons; made when the first is drawn


def ready(operator: Any) -> bool:
    """Whether a request can be sent; says on the button why not."""
    if session.task is not None:
        operator.poll_message_set("A job is running")
        return False
    if preferences.engine_place() is None:
        operator.poll_message_set("Choose an engine in the add-on's preferences first")
        return False
    return True


def send(request: Fit | Resume | Export) -> None:
    """Send a request to the engine of the preferences."""
    place = preferences.engine_place()
    assert place is not None  # of `ready`
    session.request(request, place, preferences.log_path())
    notices.redraw()


class SMALTI_OT_fit(bpy.types.Operator):
    """Rebuild the target out of the bitmaps, in the background"""

    bl_idname = "smalti.fit"
    bl_label = "Fit"
    bl_options = {'REGISTER'}

    overwrite: BoolProperty(
        name="Overwrite",
        description="Replace the job that the output folder holds",
        options={'HIDDEN', 'SKIP_SAVE'},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        settings = context.scene.smalti
        unmasked = next((number for number, region in enumerate(settings.regions, 1) if not region.mask), None)
        of_regions = [region.primitives for region in settings.regions]
        bitmaps = (
            settings.primitives or settings.text or settings.text_file or not needs_bitmaps(settings.count, of_regions)
        )
        for value, text in (
            (settings.target, "Choose a target first"),
            (bitmaps, "Choose a folder of bitmaps first, or type a text"),
            (unmasked is None, f"Choose a mask for region {unmasked} first"),
        ):
            if not value:
                cls.poll_message_set(text)
                return False
        return ready(cls)

    def invoke(self, context: Any, event: Any) -> set[str]:
        folder = job.output_folder(context.scene)
        if folder and (folder / files.JOB).is_file():
            self.overwrite = True
            answer: set[str] = context.window_manager.invoke_confirm(
                self,
                event,
                title="Replace the Job?",
                message=f"{folder.name} holds a job, with its layers and pictures.",
                confirm_text="Replace",
                icon='WARNING',
            )
            return answer
        return self.execute(context)

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.smalti
        try:
            spec = job.job_of(settings)
            if not settings.output:
                settings.output = job.new_output(spec.target, preferences.jobs_folder())
            folder = job.absolute(settings.output, "The output folder")
        except SmaltiError as fault:
            return notices.failed(self, fault)
        send(Fit(session.new_id(), to_mapping(spec), folder, self.overwrite))
        return {'FINISHED'}


class SMALTI_OT_cancel(bpy.types.Operator):
    """Stop the job and keep the best so far"""

    bl_idname = "smalti.cancel"
    bl_label = "Cancel"
    bl_options = {'INTERNAL'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if session.task is None:
            cls.poll_message_set("No job is running")
            return False
        if session.task.cancelling:
            cls.poll_message_set("The job is being stopped")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        session.cancel()
        return {'FINISHED'}


def unfinished(folder: Path | None) -> bool:
    """Whether `folder` holds a job that was interrupted and can go on. A finished one has no checkpoint any more."""
    return folder is not None and (folder / files.CHECKPOINT).is_file()


class SMALTI_OT_resume(bpy.types.Operator):
    """Go on with the interrupted job in the output folder, with the settings that it was started with"""

    bl_idname = "smalti.resume"
    bl_label = "Resume"
    bl_options = {'REGISTER'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not unfinished(job.output_folder(context.scene)):
            cls.poll_message_set("The output folder holds no interrupted job")
            return False
        return ready(cls)

    def execute(self, context: Any) -> set[str]:
        send(Resume(session.new_id(), str(job.output_folder(context.scene))))
        return {'FINISHED'}


def _draw_preview(layout: Any) -> None:
    global _previews
    if session.preview is None or bpy.app.background or not session.preview.is_file():
        return
    if _previews is None:
        _previews = bpy.utils.previews.new()
    name = f"{session.preview} {session.preview_count}"
    if name not in _previews:
        _previews.clear()
        # Asking for its size loads it at once: otherwise it would be drawn empty until Blender had read it.
        _ = _previews.load(name, str(session.preview), 'IMAGE').image_size[0]
    layout.template_icon(_previews[name].icon_id, scale=8)


def _draw_task(layout: Any, task: session.Task) -> None:
    text = (task.stage or "starting").capitalize()
    if task.total > 0:
        text += f"  {task.done:,} / {task.total:,}"
    row = layout.row(align=True)
    row.progress(factor=task.fraction, type='BAR', text=text, translate=False)
    row.operator(SMALTI_OT_cancel.bl_idname, text="", icon='X')
    if task.cancelling:
        layout.label(text="Stopping...")
        return
    # There from the first moment on, so that nothing below it moves.
    layout.label(text="" if task.eta is None else f"{session.duration(task.eta)} left", translate=False)


def _draw_outcome(layout: Any, context: Any, outcome: session.Outcome) -> None:
    if outcome.text:
        text = f"{outcome.text}\n{outcome.hint}" if outcome.hint else outcome.text
        notices.lines(layout, context, text, 'ERROR' if outcome.failed else 'INFO')
    for warning in outcome.warnings[-3:]:
        notices.lines(layout, context, warning, 'ERROR')
    if len(outcome.warnings) > 3:
        layout.label(text=f"{len(outcome.warnings) - 3} more warnings in the log", translate=False)


def _draw_buttons(layout: Any, context: Any) -> None:
    if preferences.engine_place() is None:
        show = layout.operator("preferences.addon_show", text="Set Up the Engine", icon='PREFERENCES')
        show.module = __package__
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator(SMALTI_OT_fit.bl_idname, icon='PLAY')
    if unfinished(job.output_folder(context.scene)):
        row.operator(SMALTI_OT_resume.bl_idname)


class SMALTI_PT_main(bpy.types.Panel):
    """Settings, buttons and progress"""

    bl_idname = "SMALTI_PT_main"
    bl_label = "Smalti"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "Smalti"

    def draw_header_preset(self, context: Any) -> None:
        """The button of the presets, at the right of the header."""
        presets.SMALTI_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.smalti
        body = layout.column()
        body.enabled = session.task is None
        pages.draw(body, settings, "main")
        for name, draw in (("Regions", regions.draw), ("Advanced", None), ("Limits", None)):
            header, part = body.panel(f"SMALTI_PT_{name.lower()}", default_closed=True)
            header.label(text=name)
            if part and draw:
                draw(part, settings)
            elif part:
                pages.draw(part, settings, name.lower())

        if session.task is not None:
            _draw_task(layout, session.task)
        else:
            _draw_buttons(layout, context)
        _draw_outcome(layout, context, session.outcome)
        _draw_preview(layout)


register, _unregister_classes = bpy.utils.register_classes_factory(
    (SMALTI_OT_fit, SMALTI_OT_cancel, SMALTI_OT_resume, SMALTI_PT_main)
)


def unregister() -> None:
    """Take panel, operators and pictures away."""
    global _previews
    _unregister_classes()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
