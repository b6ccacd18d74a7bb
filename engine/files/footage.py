# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a film, one at a time, whatever they are in: pictures, an animation, or a film's file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from ..arrays import UInt8Array
from .images import read_image


class Footage(Protocol):
    """Frames by index, from 0. Reading them one after another is quick; of what was read, little stays in memory.

    Attributes:
        rate: frames per second; None where the files do not say.
    """

    @property
    def rate(self) -> Fraction | None:
        """See above."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> Path:
        """The file that a frame is in."""

    def title(self, index: int) -> str:
        """What messages call a frame."""

    def fingerprint(self, index: int) -> str | None:
        """A hash of what a frame is made of; None where that is its file's bytes."""

    def read(self, index: int) -> UInt8Array:
        """A frame, [h, w, 4], straight alpha, sRGB-encoded.

        Raises:
            SmaltiError: it cannot be read.
        """


class Pictures:
    """A film of pictures, one file each. `paths`: at least one; `most`: their longer side is reduced to that."""

    rate = None

    def __init__(self, paths: Sequence[Path], most: int) -> None:
        self._paths = paths
        self._most = most

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, index: int) -> Path:
        """See `Footage`."""
        return self._paths[index]

    def title(self, index: int) -> str:
        """See `Footage`."""
        return str(self._paths[index])

    def fingerprint(self, index: int) -> None:
        """See `Footage`."""
        return None

    def read(self, index: int) -> UInt8Array:
        """See `Footage`."""
        return read_image(self._paths[index], self._most)


class OneFrame:
    """One frame of an animation, by its number in the file. `most`: as in `Pictures`."""

    rate = None

    def __init__(self, path: Path, frame: int, most: int) -> None:
        self._path = path
        self._frame = frame
        self._most = most

    def __len__(self) -> int:
        return 1

    def path(self, index: int) -> Path:
        """See `Footage`."""
        return self._path

    def title(self, index: int) -> str:
        """See `Footage`."""
        return str(self._path)

    def fingerprint(self, index: int) -> None:
        """See `Footage`."""
        return None

    def read(self, index: int) -> UInt8Array:
        """See `Footage`."""
        return read_image(self._path, self._most, self._frame)


class Part:
    """Some frames of other footage. `frames`: which, as indices in it; ascending."""

    def __init__(self, whole: Footage, frames: range) -> None:
        self._whole = whole
        self._frames = frames
        self.rate = None if whole.rate is None else whole.rate / frames.step

    def __len__(self) -> int:
        return len(self._frames)

    def path(self, index: int) -> Path:
        """See `Footage`."""
        return self._whole.path(self._frames[index])

    def title(self, index: int) -> str:
        """See `Footage`."""
        return self._whole.title(self._frames[index])

    def fingerprint(self, index: int) -> str | None:
        """See `Footage`."""
        return self._whole.fingerprint(self._frames[index])

    def read(self, index: int) -> UInt8Array:
        """See `Footage`."""
        return self._whole.read(self._frames[index])
