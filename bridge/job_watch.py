# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs in some folders, as they were when a thread last looked. Asking for them never waits for a disk."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from .background import Background
from .job_list import FoundJob, JobReader

INTERVAL = 1.0
"""Seconds between two readings of a folder."""
SHARE = 20.0
"""A reading that took long is not repeated before this many times that long has gone."""


class _Place:
    """One folder, or all folders in one. Its reader is used by one thread at a time."""

    def __init__(self, path: Path, below: bool) -> None:
        self._path, self._below = path, below
        self._reader = JobReader()
        self.jobs: tuple[FoundJob, ...] | None = None  # None before the first reading
        self.due = 0.0
        self.late = False  # whether it has changed since a reading began

    def read(self) -> tuple[tuple[FoundJob, ...], float]:
        """The jobs, and the seconds that reading them took."""
        began = time.monotonic()
        found = self._reader.read_below(self._path) if self._below else [self._reader.read(self._path)]
        return tuple(job for job in found if job is not None), time.monotonic() - began


class JobWatch:
    """Watches folders for jobs. Use it from one thread.

    Args:
        interval: see `INTERVAL`.
        waits: read at once, in the caller's thread: for programs without a window.
    """

    def __init__(self, interval: float = INTERVAL, waits: bool = False) -> None:
        self.waits = waits
        self.version = 0
        """Rises whenever the answers may be others."""
        self._interval = interval
        self._background = Background()
        self._places: dict[tuple[Path, bool], _Place] = {}
        self._by_folder: dict[Path, FoundJob] = {}
        self._sorted: tuple[FoundJob, ...] = ()

    def look(self, parents: Iterable[Path], folders: Iterable[Path] = ()) -> None:
        """Watch the folders in `parents`, and `folders`, and no others. Each is read again where that is due."""
        keys = dict.fromkeys([*((path, True) for path in parents), *((path, False) for path in folders)])
        if keys.keys() != self._places.keys():
            self._places = {key: self._places.get(key) or _Place(*key) for key in keys}
            self._collect()
        now = time.monotonic()
        for key, place in self._places.items():
            if self.waits:
                place.jobs, _ = place.read()
            elif now >= place.due:
                self._start(key, place)
        if self.waits:
            self._collect()

    def _start(self, key: tuple[Path, bool], place: _Place) -> None:
        if self._background.start(key, place.read):
            place.due, place.late = time.monotonic() + self._interval, False

    def refresh(self) -> None:
        """Something has changed on disk: the next `look` reads everything again."""
        for place in self._places.values():
            place.due, place.late = 0.0, True

    def update(self) -> bool:
        """Take over what threads have read. Returns whether anything has changed."""
        before = self.version
        for found, (jobs, seconds) in self._background.results():
            key = cast(tuple[Path, bool], found)
            place = self._places.get(key)
            if place is None:
                continue
            if place.late:  # it has changed since: what was read may be old
                self._start(key, place)
            else:
                place.due = max(place.due, time.monotonic() + SHARE * seconds)
            if jobs != place.jobs:
                place.jobs = jobs
                self._collect()
        return self.version != before

    @property
    def busy(self) -> bool:
        """Whether `update` may soon have something."""
        return self._background.busy

    @property
    def jobs(self) -> tuple[FoundJob, ...]:
        """All jobs, the newest first."""
        return self._sorted

    def at(self, folder: Path) -> FoundJob | None:
        """The job in a folder; None where there is none, or none is known of."""
        if self.waits:
            return JobReader().read(folder)
        return self._by_folder.get(folder)

    def knows(self, folder: Path) -> bool:
        """Whether the folder has been looked at: then `at` says whether there is a job."""
        places = (self._places.get((folder, False)), self._places.get((folder.parent, True)))
        return self.waits or any(place is not None and place.jobs is not None for place in places)

    def _collect(self) -> None:
        found = {job.folder: job for place in self._places.values() for job in place.jobs or ()}
        if found != self._by_folder or self.version == 0:
            self._by_folder = found
            self._sorted = tuple(sorted(found.values(), key=lambda job: (-job.changed, job.name)))
        self.version += 1
