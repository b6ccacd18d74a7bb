# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished frames of a film at work, in its job folder: each is written once, and read when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.composition import PER_FRAME, check_sprites
from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import TRACK_FOLDER, track_file

from ..arrays import Int32Array
from ..composition import read_arrays, write_arrays
from ..fitting.tracks import kept
from ..sprites import Sprites
from .folder import make_folder


class JobTracks:
    """Tracks that a job keeps on the disk (see `smalti.engine.fitting.tracks.Tracks`).

    A file for each frame, which is there as a whole or not at all: whenever a job is killed, what it has finished can
    be read. Files of frames that are fitted again are replaced.

    Args:
        folder: the job folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._last: Sprites | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, frame: int) -> Sprites:
        """As `Tracks` says.

        Raises:
            IndexError: there is no such frame.
            SmaltiError: its file is missing or damaged.
        """
        if not -self._count <= frame < self._count or self._last is None:
            raise IndexError(f"frame {frame} of {self._count}")
        frame %= self._count
        return self._last if frame == self._count - 1 else self._read(frame, self._last.template)

    def append(self, sprites: Sprites) -> None:
        """Write a frame's file. Raises SmaltiError, code ``"cannot_write"``."""
        make_folder(self._folder / TRACK_FOLDER, parents=False)
        write_arrays(self._folder / track_file(self._count), {name: getattr(sprites, name) for name in PER_FRAME})
        self._count += 1
        self._last = sprites

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing: a checkpoint need not hold what is on the disk already."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]], template: Int32Array, count: int) -> None:
        """See `Tracks`. All files are read, so that a damaged one is known before hours of work.

        Raises:
            SmaltiError: a file is missing or damaged.
        """
        self._count, self._last = 0, None
        in_state = any(f"done.{name}" in state for name in PER_FRAME)  # of an earlier version
        for frame in range(count):
            if in_state:
                self.append(kept(state, template, frame))
            else:
                self._last = self._read(frame, template)
                self._count += 1

    def _read(self, frame: int, template: Int32Array) -> Sprites:
        path = self._folder / track_file(frame)
        if not path.is_file():
            raise SmaltiError(f"{path}: is missing.", "Restore it, or start the job again.", "bad_checkpoint")
        arrays = read_arrays(path)
        each = {name: array[None] for name, array in arrays.items()}
        check_sprites({**each, "template": template}, 1, len(template), str(path))
        return Sprites(template, **{name: arrays[name].astype(np.float32, copy=False) for name in PER_FRAME})
