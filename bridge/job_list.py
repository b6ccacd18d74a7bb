# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs on disk. What is there is the list: there is no other that could say something else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .folder import CHECKPOINT, COMPOSITION, JOB, LOG, PREVIEW, RENDER, RENDER_FOLDER, REPORT, picture_file
from .lock import is_locked
from .schema import parse_json

MOST = 1000
"""Jobs of one folder that are listed, the newest first."""

_LARGEST = 1_000_000  # bytes; a larger job.json or report.json is none of ours
_TELLING = (JOB, CHECKPOINT, COMPOSITION, REPORT, PREVIEW, RENDER)  # files whose change means another entry

State = Literal["at_work", "interrupted", "finished", "not_begun"]
_Stamp = tuple[int, int]  # of a file: time of its last change in nanoseconds, bytes


@dataclass(frozen=True)
class FoundJob:
    """A job on disk, or a composition that was saved without one.

    Attributes:
        folder: where it is.
        state: how far it is.
        id: see `bridge.job_file.new_id`; empty in older jobs.
        sprites: how many there are in the result, else how many were requested; None where neither can be read.
        changed: when it was last worked on, seconds since the epoch.
        importable: whether there is a result, also of an interrupted job.
        picture: the newest picture of it, or None.
        picture_stamp: changes with the picture.
    """

    folder: Path
    state: State
    id: str
    sprites: int | None
    changed: float
    importable: bool
    picture: Path | None
    picture_stamp: int

    @property
    def name(self) -> str:
        """What the artist calls it."""
        return self.folder.name


class JobReader:
    """Reads jobs, and keeps what it has read of those that have not changed since: the same objects. For one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[dict[str, _Stamp], FoundJob]] = {}

    def read(self, folder: Path) -> FoundJob | None:
        """The job in a folder, or None where there is none or it cannot be read. Never raises."""
        try:
            stamps = _stamps(folder)
            if JOB not in stamps and COMPOSITION not in stamps:
                self._kept.pop(str(folder), None)
                return None
            kept = self._kept.get(str(folder))
            if kept is None or kept[0] != stamps:
                found = _found(folder, stamps, *_contents(folder, stamps))
            elif (state := _state(folder, stamps)) != kept[1].state:
                found = replace(kept[1], state=state)
            else:
                return kept[1]
            hash(found.folder)  # which it remembers, so that the thread that takes it has less to do
            self._kept[str(folder)] = stamps, found
            return found
        except OSError:
            return None

    def read_below(self, parent: Path) -> list[FoundJob]:
        """The jobs in the folders of `parent`, the newest first, at most `MOST`. Never raises."""
        try:
            with os.scandir(parent) as entries:
                folders = [parent / entry.name for entry in entries if entry.is_dir()]
        except OSError:
            return []
        found = [job for folder in folders if (job := self.read(folder)) is not None]
        return sorted(found, key=lambda job: (-job.changed, job.name))[:MOST]


def _stamps(folder: Path) -> dict[str, _Stamp]:
    """The telling files that are there, and whether there is a log and a folder of pictures."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _TELLING:
                status = entry.stat()
                found[entry.name] = (status.st_mtime_ns, status.st_size)
            elif entry.name in (LOG, RENDER_FOLDER):
                found[entry.name] = (0, 0)  # a log grows all the time
    return found


def _contents(folder: Path, stamps: Mapping[str, _Stamp]) -> tuple[str, int | None]:
    """Id and number of sprites."""
    job, report = (_object(folder / name, stamps.get(name)) for name in (JOB, REPORT))
    if JOB not in stamps:  # a composition that a program has saved
        job = report = _object(folder / COMPOSITION, stamps.get(COMPOSITION))
    job_id = job.get("id")
    made = report.get("sprites") if COMPOSITION in stamps else None
    return job_id if isinstance(job_id, str) else "", made if isinstance(made, int) else _requested(job)


def _requested(job: Mapping[str, Any]) -> int | None:
    """How many sprites a job.json says."""
    regions = job.get("regions", ())
    counts = [job.get("count"), *(region.get("count") for region in regions if isinstance(region, dict))]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if len(known) == len(counts) else None


def _object(path: Path, stamp: _Stamp | None) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    if stamp is None or stamp[1] > _LARGEST:
        return {}
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _found(folder: Path, stamps: Mapping[str, _Stamp], job_id: str, sprites: int | None) -> FoundJob:
    picture = _picture(stamps)
    return FoundJob(
        folder=folder,
        state=_state(folder, stamps),
        id=job_id,
        sprites=sprites,
        changed=max(stamp[0] for stamp in stamps.values()) / 1e9,
        importable=COMPOSITION in stamps,
        picture=None if picture is None else folder / picture,
        picture_stamp=stamps.get(picture or "", stamps.get(COMPOSITION, (0, 0)))[0],
    )


def _state(folder: Path, stamps: Mapping[str, _Stamp]) -> State:
    done = COMPOSITION in stamps and CHECKPOINT not in stamps
    # A finished job may be replaced at this moment; then its files go as soon as the new one begins.
    if not done and LOG in stamps and is_locked(folder / LOG):
        return "at_work"
    return "finished" if done else "interrupted" if CHECKPOINT in stamps else "not_begun"


def _picture(stamps: Mapping[str, _Stamp]) -> str | None:
    for name in (PREVIEW, RENDER):
        if name in stamps:
            return name
    return picture_file(0, frames=2) if RENDER_FOLDER in stamps else None
