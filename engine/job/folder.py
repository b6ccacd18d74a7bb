# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a job at work: whether it is free, what is in it when the job begins, and who works in it."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import COMPOSITION, JOB, LOG
from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import ID, new_id, read_id, write_job
from smalti.bridge.job_folder import clear
from smalti.bridge.lock import try_lock
from smalti.bridge.schema import read_text_at

from ..files.atomic import write_atomic


def check_free(folder: Path, job: JobSpec, overwrite: bool) -> None:
    """Check that `folder` can become the folder of `job`: it is missing, empty, or holds a job that may be replaced.

    Raises:
        SmaltiError: code ``"output_not_folder"``, ``"cannot_write"``, ``"output_holds_job"``, ``"output_not_empty"``
            or ``"input_in_output"``.
    """
    try:
        files = {file.name for file in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError as fault:
        raise SmaltiError(
            f"{folder}: the output folder is a file.", "Choose another folder.", "output_not_folder"
        ) from fault
    except OSError as fault:
        raise SmaltiError(
            f"{folder}: cannot be read ({fault.strerror}).", "Choose another folder.", "cannot_write"
        ) from fault
    if JOB in files and not overwrite:
        raise SmaltiError(
            f"{folder}: holds another job.", "Choose another folder, resume it, or overwrite it.", "output_holds_job"
        )
    if JOB not in files and files - {LOG}:
        raise SmaltiError(
            f"{folder}: is not empty.", "Choose an empty folder, or one that does not exist yet.", "output_not_empty"
        )
    inside = os.path.join(os.path.realpath(folder), "")
    for path in job.paths.values():
        if os.path.join(os.path.realpath(path), "").startswith(inside):
            raise SmaltiError(
                f"{path}: lies in the output folder, where the new job would replace it.",
                "Choose another output folder.",
                "input_in_output",
            )


def id_of(folder: Path) -> str:
    """Which job a folder holds: what its job.json says, else its composition, else a new id."""
    return read_id(folder / JOB) or read_text_at(folder / COMPOSITION, ID) or new_id()


@contextmanager
def begun(folder: Path, job: JobSpec) -> Iterator[str]:
    """Within, `folder` has nothing but the job.json of a job that has not begun; one that it held keeps its id.

    At no time is the folder without a job.json, so that neither id nor settings are lost when the process is killed. If
    the body fails, a job that was there before is one that has not begun; else nothing is left.

    Yields:
        The job's id.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    path, job_id = folder / JOB, id_of(folder)
    former = path.read_bytes() if path.is_file() else None
    try:
        write_job(path, job, job_id)
        clear(folder, job_too=False)
        yield job_id
    except BaseException:
        with suppress(SmaltiError):
            clear(folder, job_too=former is None)
        if former is not None:
            # Else it keeps the settings of the new one, which are as good: it has not begun.
            with suppress(SmaltiError):
                write_atomic(path, lambda file: file.write(former))
        raise


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Within, `folder` exists. If the body fails, folders that are new and empty are removed again."""
    new: list[Path] = []
    try:
        new += [each for each in (folder, *folder.parents) if not each.exists()]
        make_folder(folder)
        yield
    except BaseException:
        for each in new:
            with suppress(OSError):
                each.rmdir()
        raise


def make_folder(folder: Path, parents: bool = True) -> None:
    """Create a folder, and its `parents`, unless they exist. Raises SmaltiError, code ``"cannot_write"``."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as fault:
        raise SmaltiError(
            f"{folder}: cannot be created ({fault.strerror}).",
            "Choose a folder that can be written to.",
            "cannot_write",
        ) from fault


@contextmanager
def still_there(folder: Path) -> Iterator[None]:
    """Within, what fails because the folder of the job was moved or removed says so.

    Raises:
        SmaltiError: code ``"folder_gone"``. What else the body raises passes through.
    """
    try:
        yield
    except (SmaltiError, OSError) as fault:
        if (folder / JOB).exists():
            raise
        raise SmaltiError(
            f"{folder}: is not there any more.", "Put it back and resume the job, or begin it again.", "folder_gone"
        ) from fault


@contextmanager
def locked(folder: Path) -> Iterator[IO[str]]:
    """Within, only this process works in the job folder, and the engine's log messages go to its engine.log too.

    Yields:
        The log file, open for appending.

    Raises:
        SmaltiError: code ``"job_busy"`` if another process works there, or ``"cannot_write"``.
    """
    path = folder / LOG
    try:
        log = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (closed below)
    except OSError as fault:
        raise SmaltiError(
            f"{path}: cannot be written ({fault.strerror}).",
            "Free some space there, or choose another folder.",
            "cannot_write",
        ) from fault
    if not try_lock(log):
        log.close()
        raise SmaltiError(
            f"{folder}: another Smalti is at work on this job.", "Wait until it is done, or stop it.", "job_busy"
        )
    try:
        with _logging_to(log):
            yield log
    except Exception:
        with suppress(OSError):
            traceback.print_exc(file=log)
        raise
    finally:
        with suppress(OSError):
            log.close()
        with suppress(OSError):
            if not (folder / JOB).exists():  # the job never began
                path.unlink()


@contextmanager
def _logging_to(file: IO[str]) -> Iterator[None]:
    """Within, what the engine logs from level INFO on is written to `file` too."""
    logger = logging.getLogger("smalti")
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk must not end a job by its log
    level = logger.level
    logger.setLevel(min(level, logging.INFO) if level else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
