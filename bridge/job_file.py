# SPDX-License-Identifier: GPL-3.0-or-later
"""``job.json``: a job as a file."""

from __future__ import annotations

from pathlib import Path

from .job import JobSpec
from .looks import in_look
from .schema import read_json, write_json

FORMAT = "smalti-job"
VERSION = 1


def read_job(path: Path) -> JobSpec:
    """Read and check a ``job.json``.

    Raises:
        SmaltiError: the file is missing, damaged or of a newer version, has an unknown key, NaN, or a setting out of
            range.
    """
    return read_json(path, JobSpec, FORMAT, VERSION, in_look).checked()


def write_job(path: Path, job: JobSpec) -> None:
    """Write a ``job.json`` in one step. Raises SmaltiError, code ``"cannot_write"``."""
    write_json(path, job, FORMAT, VERSION)
