# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of the files that a fit reads, so that a job is not resumed with other files in their place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec

from ..errors import unreadable
from ..files.footage import Footage


class Fingerprints:
    """Hashes of the contents of a job's files.

    Bitmaps, texts, fonts and where sprites start are not among them: a job that has begun keeps these itself. A frame
    of a film is hashed when the fit reaches it, so that a damaged one can be repaired until then.

    Args:
        job: the job.
        frames: its target's frames.

    Raises:
        SmaltiError: a file is missing or cannot be read.
    """

    def __init__(self, job: JobSpec, frames: Footage) -> None:
        self._target = Path(job.target)
        self._frames = frames
        self._paths = {
            name: path
            for name, path in job.paths.items()
            if name not in ("target", "font", "text_file", "start") and not name.startswith("primitives")
        }
        self._hashes = {name: _hash_of(Path(path)) for name, path in self._paths.items()}
        self._frame_hashes: list[str] = []
        self._last: tuple[Path, str] | None = None

    @property
    def _files(self) -> list[Path]:
        """The file of each frame."""
        return [self._frames.path(index) for index in range(len(self._frames))]

    def _of_file(self, path: Path) -> str:
        """The hash of a frame's file, in which there may be the next ones too."""
        if self._last is None or self._last[0] != path:
            self._last = path, _hash_of(path)
        return self._last[1]

    def add_frames(self, last: int) -> None:
        """Hash the frames up to the index `last` that are not hashed yet. Raises SmaltiError as the class does."""
        for index in range(len(self._frame_hashes), min(last + 1, len(self._frames))):
            self._frame_hashes.append(self._frames.fingerprint(index) or self._of_file(self._frames.path(index)))

    def state(self) -> dict[str, NDArray[Any]]:
        """What `check` needs: names of all frames, hashes of those reached so far and of the other files."""
        return {
            "sources.frames": np.array([path.name for path in self._files]),
            "sources.frame_hashes": np.array(self._frame_hashes, np.str_),
            "sources.files": np.array(list(self._hashes), np.str_),
            "sources.hashes": np.array(list(self._hashes.values()), np.str_),
        }

    def check(self, state: Mapping[str, NDArray[Any]], more: bool = False) -> None:
        """Check that the files are those of a `state`. One of a version that kept no hashes passes.

        Args:
            more: whether there may be more frames, after those that there were.

        Raises:
            SmaltiError: code ``"target_changed"`` or ``"input_changed"``; or a file is missing or cannot be read.
            KeyError, ValueError: the state is damaged.
        """
        if not any(name.startswith("sources.") for name in state):
            return
        if len(set(self._files)) > 1 or not self._target.is_file():
            self._check_names([str(name) for name in state["sources.frames"]], more)
        hashes = [str(value) for value in state["sources.frame_hashes"]]
        self.add_frames(len(hashes) - 1)
        for index, (before, now) in enumerate(zip(hashes, self._frame_hashes, strict=True)):
            if now != before:
                raise _changed(self._frames.title(index), "target_changed")
        files = dict(zip(map(str, state["sources.files"]), map(str, state["sources.hashes"]), strict=True))
        for name in files | self._hashes:
            if files.get(name) != self._hashes.get(name):
                raise _changed(self._paths.get(name, name), "input_changed")

    def _check_names(self, before: Sequence[str], more: bool) -> None:
        """Check that a folder has the frames that it had: one more or less makes it another film."""
        now = [path.name for path in self._files][: len(before) if more else None]
        if missing := sorted(set(before) - set(now)):
            raise SmaltiError(
                f"{self._files[0].parent / missing[0]}: is missing, but was a frame when the job began.",
                "Restore it, or start the job again.",
                "target_changed",
            )
        if new := sorted(set(now) - set(before)):
            raise SmaltiError(
                f"{self._files[0].parent / new[0]}: was no frame when the job began.",
                "Move it elsewhere, or start the job again.",
                "target_changed",
            )


def _changed(what: Path | str, code: str) -> SmaltiError:
    return SmaltiError(f"{what}: has changed since the job began.", "Restore it, or start the job again.", code)


def _hash_of(path: Path) -> str:
    """BLAKE2b hash of a file's bytes, 32 hexadecimal digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path.", "picture_missing") from fault
    except OSError as fault:
        raise unreadable(path, fault, "picture_unreadable") from fault
