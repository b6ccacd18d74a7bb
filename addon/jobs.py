# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that the panel knows of: those on disk, beside the Blender file, the output and what was imported.

Panels and polls ask here, and never a disk: threads read it while a panel is drawn (see `bridge.job_watch`). The list
in the panel is a copy among the window manager's properties, as Blender draws lists of properties only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import CollectionProperty, IntProperty, StringProperty

from . import imported, job, job_pictures, notices
from .bridge.job_list import FoundJob
from .bridge.job_watch import JobWatch

_AT_ONCE = 60  # entries that are added to the list at a time
INTERVAL = 0.1  # seconds between two looks at what threads have read, while there are any

watch = JobWatch(waits=bpy.app.background)
"""What is known of the disk."""
_listed: list[str] = []  # folders in the panel's list, as it was last written
_chosen: Path | None = None  # what is to be chosen in it as soon as it is there


class SMALTI_PG_job(bpy.types.PropertyGroup):
    """A job in the list; its name is that of the job"""

    folder: StringProperty(name="Folder", description="The job's folder")


def home() -> Path:
    """Where jobs go that have no better place. Not into the extension's folder, with which they would be removed."""
    return Path(bpy.utils.user_resource('DATAFILES', path="smalti jobs"))


def look(scene: Any, *more: Path | None) -> None:
    """Keep what is known fresh, for a panel that is drawn. `more`: job folders, wherever they are."""
    parents, folders = [home()], [folder for folder in more if folder is not None]
    if bpy.data.filepath:
        parents.append(Path(bpy.path.abspath("//smalti")))
    output = job.output_folder(scene)
    if output is not None:
        parents.append(output.parent)
        folders.append(output)
    watch.look(parents, [*folders, *imported.folders(scene)])
    if not watch.waits and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL / 2)


def refresh() -> None:
    """Something has changed on disk: it is read again when a panel is drawn next, at once."""
    watch.refresh()
    notices.redraw()


def state(folder: Path | None) -> str | None:
    """How far the job in a folder is; None where there is none, "" where that is not known yet."""
    if folder is None:
        return None
    if (found := watch.at(folder)) is not None:
        return found.state
    return None if watch.knows(folder) else ""


def can_resume(folder: Path | None) -> bool:
    """Whether a folder is known to hold an interrupted job."""
    return state(folder) == "interrupted"


def importable(folder: Path | None) -> bool | None:
    """Whether there is a composition in a folder; None where that is not known yet."""
    if folder is None:
        return False
    found = watch.at(folder)
    return found.importable if found is not None else False if watch.knows(folder) else None


def chosen() -> FoundJob | None:
    """The job that is chosen in the panel's list."""
    manager = bpy.context.window_manager
    if 0 <= manager.smalti_job_index < len(manager.smalti_jobs):
        return watch.at(Path(manager.smalti_jobs[manager.smalti_job_index].folder))
    return None


def choose(folder: Path) -> None:
    """Choose a job in the list, as soon as it is there."""
    global _chosen
    _chosen = folder
    refresh()


def tick() -> float | None:
    """Take over what threads have read. Returns the seconds until the next call, None when there is nothing to come."""
    changed = watch.update()
    changed |= job_pictures.take()
    changed |= write_list(_AT_ONCE)
    if changed:
        notices.redraw()
    return INTERVAL if watch.busy or job_pictures.busy() or len(_listed) < len(watch.jobs) else None


def write_list(most: int | None = None) -> bool:
    """Bring the panel's list up to date. Not while a panel is drawn.

    Args:
        most: entries that are added at a time; None for all that are new.

    Returns:
        Whether it has changed. There is more to add where `_listed` is not yet what `watch` knows.
    """
    global _chosen
    manager = bpy.context.window_manager
    items, folders = manager.smalti_jobs, [str(found.folder) for found in watch.jobs]
    if len(items) != len(_listed):  # another file was opened
        items.clear()
        _listed.clear()
    chosen = manager.smalti_job_index
    before = _listed[chosen] if 0 <= chosen < len(_listed) else ""
    changed = folders != _listed
    if changed:
        _reorder(items, folders, len(folders) if most is None else most)
    if _chosen is not None and str(_chosen) in _listed:
        before, _chosen = str(_chosen), None
    after = _listed.index(before) if before in _listed else max(0, min(chosen, len(_listed) - 1))
    if after != chosen:
        manager.smalti_job_index = after
    return changed or after != chosen


def _reorder(items: Any, folders: list[str], most: int) -> None:
    """Make a collection of jobs, and `_listed`, that of these folders, with `most` new ones."""
    wanted, added = set(folders), 0
    for index in range(len(_listed) - 1, -1, -1):
        if _listed[index] not in wanted:
            items.remove(index)
            del _listed[index]
    have = set(_listed)
    for index, folder in enumerate(folders):
        if index < len(_listed) and _listed[index] == folder:
            continue
        if folder in have:
            old = _listed.index(folder)
            del _listed[old]
        elif added == most:
            break
        else:
            item, old, added = items.add(), len(_listed), added + 1
            item.name, item.folder = Path(folder).name, folder
        items.move(old, index)
        _listed.insert(index, folder)


@persistent
def _file_loaded(*_: Any) -> None:
    watch.refresh()


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((SMALTI_PG_job,))


def register() -> None:
    """Add the list, which is empty before a panel is drawn."""
    _register_classes()
    bpy.types.WindowManager.smalti_jobs = CollectionProperty(type=SMALTI_PG_job, options={'SKIP_SAVE'})
    bpy.types.WindowManager.smalti_job_index = IntProperty(
        name="Job", description="The chosen job", min=0, options={'SKIP_SAVE'}
    )
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    """Take the list away, and forget what was read."""
    global watch
    if _file_loaded in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_file_loaded)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    watch = JobWatch(waits=watch.waits)
    _listed.clear()
    job_pictures.clear()
    del bpy.types.WindowManager.smalti_jobs
    del bpy.types.WindowManager.smalti_job_index
    _unregister_classes()
