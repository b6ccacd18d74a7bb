# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a job in the list."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from . import job as job_output
from . import jobs, notices, session
from .bridge import folder as files
from .bridge import job_folder
from .bridge.errors import SmaltiError
from .bridge.job_file import read_job
from .bridge.protocol import Fit, Resume
from .bridge.schema import to_mapping
from .labels import label_of
from .requests import ready, send
from .values import set_values


def folder_property() -> Any:
    """The property of an operator that says which job it is for."""
    return StringProperty(name="Job Folder", subtype='DIR_PATH', options={'HIDDEN', 'SKIP_SAVE'})


class _OfJob:
    """An operator for the job in `folder`, which its `_perform` takes; a SmaltiError is reported."""

    folder: str

    def execute(self, context: Any) -> set[str]:
        try:
            answer = self._perform(context, Path(self.folder))
        except SmaltiError as fault:
            return notices.failed(self, fault)
        finally:
            jobs.refresh()
        return answer or {'FINISHED'}

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        """Do it. Returns what `execute` returns; None for FINISHED."""
        raise NotImplementedError


class SMALTI_OT_run_job(_OfJob, bpy.types.Operator):
    """Begin the job, with the settings that it has, in the background"""

    bl_idname = "smalti.run_job"
    bl_label = "Run"
    bl_options = {'REGISTER'}

    folder: folder_property()

    @classmethod
    def poll(cls, context: Any) -> bool:
        return ready(cls)

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        found = jobs.watch.at(folder)
        if found is not None and found.state != "not_begun":
            raise SmaltiError(f"{folder.name} has begun already.", "Duplicate it, and run the duplicate.")
        job = read_job(folder / files.JOB)
        send(Fit(session.new_id(), to_mapping(job), str(folder), overwrite=True))
        return None


class SMALTI_OT_resume_job(_OfJob, bpy.types.Operator):
    """Go on with the interrupted job, with the settings that it was started with"""

    bl_idname = "smalti.resume_job"
    bl_label = "Resume"
    bl_options = {'REGISTER'}

    folder: folder_property()

    @classmethod
    def poll(cls, context: Any) -> bool:
        return ready(cls)

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        send(Resume(session.new_id(), str(folder)))
        return None


class SMALTI_OT_duplicate_job(_OfJob, bpy.types.Operator):
    """Make a new job with the same settings beside this one; it has not begun"""

    bl_idname = "smalti.duplicate_job"
    bl_label = "Duplicate Job"
    bl_options = {'REGISTER'}

    folder: folder_property()

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        new = job_folder.duplicate(folder)
        jobs.choose(new)
        self.report({'INFO'}, f"{new.name} has the settings of {folder.name}")
        return None


class SMALTI_OT_take_settings(_OfJob, bpy.types.Operator):
    """Show the job's settings in the panel, in place of those that are there"""

    bl_idname = "smalti.take_settings"
    bl_label = "Take Settings"
    bl_options = {'REGISTER', 'UNDO'}

    folder: folder_property()

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        settings = context.scene.smalti
        job = read_job(folder / files.JOB)
        if bpy.data.filepath and context.preferences.filepaths.use_relative_paths:
            job = job.with_paths(_relative)
        lost = [label_of(one.name) for one in set_values(settings, job)]
        if jobs.state(job_output.output_folder(context.scene)):
            settings.output = ""  # there is a job in it: the next one goes into a folder of its own
        if lost:
            self.report({'WARNING'}, f"The panel cannot show these as {folder.name} has them: {', '.join(lost)}")
        else:
            self.report({'INFO'}, f"The panel has the settings of {folder.name}")
        return None


def _relative(path: str) -> str:
    """A path as one relative to the Blender file; on another drive it stays absolute."""
    try:
        return str(bpy.path.relpath(path))
    except ValueError:
        return path


class SMALTI_OT_open_job(_OfJob, bpy.types.Operator):
    """Open the job's folder in the system's file browser"""

    bl_idname = "smalti.open_job"
    bl_label = "Open Folder"
    bl_options = {'INTERNAL'}

    folder: folder_property()

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        if not folder.is_dir():
            raise SmaltiError(f"{folder}: is not there any more.", "Choose another job.")
        bpy.ops.wm.path_open(filepath=str(folder))
        return None


class SMALTI_OT_remove_job(_OfJob, bpy.types.Operator):
    """Remove the job from the disk, with its layers and pictures"""

    bl_idname = "smalti.remove_job"
    bl_label = "Remove Job"
    bl_options = {'REGISTER'}

    folder: folder_property()

    def invoke(self, context: Any, event: Any) -> set[str]:
        answer: set[str] = context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove the Job?",
            message=f"{Path(self.folder).name} is removed from the disk, with its layers and pictures.",
            confirm_text="Remove",
            icon='WARNING',
        )
        return answer

    def _perform(self, context: Any, folder: Path) -> set[str] | None:
        if session.task is not None and session.task.folder == folder:
            raise SmaltiError(f"{folder.name} is being worked on.", "Cancel it first.")
        rest = job_folder.remove(folder)
        if rest:
            self.report({'WARNING'}, f"The folder of {folder.name} stays, as other files are in it: {', '.join(rest)}")
        else:
            self.report({'INFO'}, f"{folder.name} was removed")
        return None


register, unregister = bpy.utils.register_classes_factory(
    (
        SMALTI_OT_run_job,
        SMALTI_OT_resume_job,
        SMALTI_OT_duplicate_job,
        SMALTI_OT_take_settings,
        SMALTI_OT_open_job,
        SMALTI_OT_remove_job,
    )
)
