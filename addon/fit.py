# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's main panel: what to fit, and the operators that start and stop it."""

from typing import Any

import bpy
from bpy.props import BoolProperty

from . import job, jobs, notices, pages, presets, regions, session, status
from .bridge import folder as files
from .bridge.errors import SmaltiError
from .bridge.protocol import Fit, Resume
from .bridge.region import needs_bitmaps
from .bridge.schema import to_mapping
from .requests import ready, send


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
                settings.output = job.new_output(spec.target, jobs.home())
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


class SMALTI_OT_resume(bpy.types.Operator):
    """Go on with the interrupted job in the output folder, with the settings that it was started with"""

    bl_idname = "smalti.resume"
    bl_label = "Resume"
    bl_options = {'REGISTER'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if jobs.state(job.output_folder(context.scene)) not in ("interrupted", ""):
            cls.poll_message_set("The output folder holds no interrupted job")
            return False
        return ready(cls)

    def execute(self, context: Any) -> set[str]:
        send(Resume(session.new_id(), str(job.output_folder(context.scene))))
        return {'FINISHED'}


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
        jobs.look(context.scene, session.outcome.folder, session.task.folder if session.task else None)
        status.draw(layout.column(), context)
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


register, unregister = bpy.utils.register_classes_factory(
    (SMALTI_OT_fit, SMALTI_OT_cancel, SMALTI_OT_resume, SMALTI_PT_main)
)
