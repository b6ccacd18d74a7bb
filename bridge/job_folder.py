# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders as a whole: a free one, a second one for the same job, and taking one away."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import SmaltiError
from .folder import (
    ARRAYS,
    BACKGROUND,
    CHECKPOINT,
    COMPOSITION,
    JOB,
    LAST_FRAME,
    LEVEL_FOLDER,
    LEVELS,
    LOG,
    PREVIEW,
    RENDER,
    RENDER_FOLDER,
    REPORT,
    TEMPLATE_FOLDER,
    TRACK_FOLDER,
)
from .formats import FILMS, FORMATS
from .job_file import is_job, new_id, read_job, write_job
from .lock import try_lock

_PICTURES = FILMS["png"].file_name


def clear(folder: Path, job_too: bool = True) -> None:
    """Remove a job's own files from its folder, except its log, and nothing else; job.json where `job_too`.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    hand_offs = [each.file_name for each in (FORMATS | FILMS).values() if "." in each.file_name]
    try:
        for name in (
            COMPOSITION,
            ARRAYS,
            CHECKPOINT,
            LAST_FRAME,
            PREVIEW,
            RENDER,
            REPORT,
            BACKGROUND,
            LEVELS,
            *hand_offs,
        ):
            (folder / name).unlink(missing_ok=True)
        if job_too:
            (folder / JOB).unlink(missing_ok=True)
        remove_leftovers(folder)
        for name in (TEMPLATE_FOLDER, LEVEL_FOLDER, RENDER_FOLDER, _PICTURES):
            _clear_numbered(folder / name, ".png")
        clear_tracks(folder)
    except OSError as fault:
        raise SmaltiError(
            f"{fault.filename}: cannot be removed ({fault.strerror}).", "Choose another folder.", "cannot_write"
        ) from fault


def clear_tracks(folder: Path) -> None:
    """Remove the finished frames that a job at work has kept, which a finished one has in its composition.

    Raises:
        OSError: they cannot be removed.
    """
    _clear_numbered(folder / TRACK_FOLDER, ".npz")


def _clear_numbered(folder: Path, ending: str) -> None:
    """Remove the files of a folder whose names are numbers, and the folder if nothing else is in it."""
    if folder.is_dir() and not folder.is_symlink():
        for file in folder.glob(f"*{ending}"):
            if re.fullmatch(r"\d{4,}", file.stem):
                file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of a process that was killed while writing."""
    folders = TEMPLATE_FOLDER, LEVEL_FOLDER, RENDER_FOLDER, TRACK_FOLDER, _PICTURES
    for place in (folder, *(folder / name for name in folders)):
        for pattern in (".smalti-*.tmp", ".*.json.new"):
            for file in place.glob(pattern):
                file.unlink(missing_ok=True)


def free_folder(parent: Path, name: str) -> Path:
    """A folder in `parent` that is not there yet: `name`, or with the next number, "cat 2", "cat 3"."""
    stem, _, number = name.rpartition(" ")
    name, count = (stem, int(number)) if stem and number.isdecimal() and len(number) < 5 else (name, 1)
    while (folder := parent / (name if count == 1 else f"{name} {count}")).exists():
        count += 1
    return folder


def duplicate(folder: Path) -> Path:
    """Make a new job, with the settings of the one in `folder`, beside it; it has not begun. Returns its folder.

    Raises:
        SmaltiError: there is no job, its job.json is damaged, or the new folder cannot be written.
    """
    job = read_job(folder / JOB)
    new = free_folder(folder.parent, folder.name)
    try:
        new.mkdir()
    except OSError as fault:
        raise SmaltiError(
            f"{new}: cannot be created ({fault.strerror}).", "Choose a folder that can be written to.", "cannot_write"
        ) from fault
    try:
        write_job(new / JOB, job, new_id())
    except SmaltiError:
        with suppress(OSError):
            new.rmdir()
        raise
    return new


def remove(folder: Path) -> list[str]:
    """Take a job away: its own files, and the folder where nothing else is in it.

    Returns:
        The names of what is not of the job and stays, with the folder; empty where the folder is gone.

    Raises:
        SmaltiError: code ``"no_job"``: it is no folder with a job of Smalti, or only a link to one; ``"job_busy"``: an
            engine works in it; ``"cannot_write"``: something cannot be removed.
    """
    if folder.is_symlink() or not is_job(folder / JOB):
        raise SmaltiError(f"{folder}: is not the folder of a Smalti job.", "Remove it by hand.", "no_job")
    log = _locked_log(folder)
    try:
        clear(folder, job_too=False)
        (folder / JOB).unlink(missing_ok=True)  # the last, so that what is left of it is a job for as long as possible
        if log is not None:
            log.close()
        (folder / LOG).unlink(missing_ok=True)
        rest = sorted(path.name for path in folder.iterdir())
        if not rest:
            folder.rmdir()
    except OSError as fault:
        raise SmaltiError(
            f"{fault.filename}: cannot be removed ({fault.strerror}).", "Remove the folder by hand.", "cannot_write"
        ) from fault
    finally:
        if log is not None:
            log.close()
    return rest


def _locked_log(folder: Path) -> IO[str] | None:
    """The job's log, locked; None where there is none. Raises SmaltiError where another has it."""
    try:
        log = open(folder / LOG, "r+", encoding="utf-8")  # noqa: SIM115 (closed by the caller)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise SmaltiError(
            f"{fault.filename}: cannot be removed ({fault.strerror}).", "Remove the folder by hand.", "cannot_write"
        ) from fault
    if not try_lock(log):
        log.close()
        raise SmaltiError(f"{folder}: is being worked on.", "Cancel the job first.", "job_busy")
    return log
