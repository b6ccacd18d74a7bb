# SPDX-License-Identifier: GPL-3.0-or-later
"""``job.json``: a job as a file, and which job it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .job import JobSpec
from .looks import in_look
from .schema import read_json, read_text_at, write_json

FORMAT = "smalti-job"
VERSION = 1

ID = "id"
"""A key beside the settings: which job the folder holds. No setting, as it says nothing about what is made."""


def new_id() -> str:
    """An id for a new job, random.

    A job's id is the same over resuming it and over replacing it in its folder, and wherever the folder is moved; the
    composition carries it too. By it, what was imported from a job is known to be of that job.
    """
    return uuid.uuid4().hex


def read_job(path: Path) -> JobSpec:
    """Read and check a ``job.json``.

    Raises:
        SmaltiError: the file is missing, damaged or of a newer version, has an unknown key, NaN, or a setting out of
            range.
    """
    return read_json(path, JobSpec, FORMAT, VERSION, _settings).checked()


def read_id(path: Path) -> str:
    """The id in a ``job.json``; empty where it has none. Never raises."""
    return read_text_at(path, ID)


def is_job(path: Path) -> bool:
    """Whether a file says that it is a ``job.json``, of whatever version. Never raises."""
    return read_text_at(path, "format") == FORMAT


def write_job(path: Path, job: JobSpec, job_id: str = "") -> None:
    """Write a ``job.json`` in one step; without the key where `job_id` is empty.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    write_json(path, job, FORMAT, VERSION, {ID: job_id} if job_id else {})


def _settings(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a file says, without the id and with the settings of its look."""
    return in_look({key: value for key, value in data.items() if key != ID})
