# SPDX-License-Identifier: GPL-3.0-or-later
"""Animations in one file that Pillow reads (GIF, WebP, APNG, AVIF), as footage of a constant rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from smalti.bridge.errors import SmaltiError

from ..arrays import Int64Array, UInt8Array
from .constant_rate import frames_within, own_frames
from .images import damaged, in_srgb, open_picture, quiet, too_large

SHORTEST = 20
"""Milliseconds that a frame may last. Players give frames that say less `USUAL` milliseconds."""
USUAL = 100
UNIT = Fraction(1, 1000)
"""Seconds in a millisecond."""


class Animation:
    """An animation's frames, as many a second as its quickest frame needs, so that each is there at least once.

    Args:
        path: a file of which `smalti.engine.files.images.frames_in` says that it has several frames.
        frames: what it says.
        rate: frames per second; None for those that the file asks for.

    Raises:
        SmaltiError: a frame cannot be read.
    """

    def __init__(self, path: Path, frames: int, rate: Fraction | None = None) -> None:
        self._path = path
        self._image = open_picture(path)
        lasts = self._durations(frames)
        self.rate = rate or 1000 / Fraction(int(lasts.min()))
        ends = np.cumsum(lasts)
        count = frames_within(int(ends[-1]) * UNIT, self.rate)
        self._own = own_frames(ends - lasts, count, UNIT, self.rate)
        self._at: tuple[int, UInt8Array] | None = None

    def __len__(self) -> int:
        return len(self._own)

    def path(self, index: int) -> Path:
        """See `Footage`."""
        return self._path

    def title(self, index: int) -> str:
        """See `Footage`."""
        return f"{self._path}, frame {index + 1}"

    def fingerprint(self, index: int) -> None:
        """See `Footage`."""
        return None

    def read(self, index: int) -> UInt8Array:
        """See `Footage`."""
        own = int(self._own[index])
        if self._at is None or self._at[0] != own:
            self._load(own)
            self._at = own, np.array(in_srgb(self._image, self._path).convert("RGBA"))
        return self._at[1]

    def _load(self, own: int) -> None:
        """Decode one of the file's frames; going back begins at the first again."""
        if own < self._image.tell():
            self._image.close()
            self._image = open_picture(self._path)
        width, height = self._image.size
        try:
            with quiet():
                self._image.seek(own)
                self._image.load()
        except (MemoryError, Image.DecompressionBombError) as fault:
            raise too_large(self._path, f"{width:,} x {height:,} pixels") from fault
        except Exception as fault:  # Pillow's readers raise nearly anything on a damaged file.
            raise _damaged_frame(self._path, own, fault) from fault

    def _durations(self, frames: int) -> Int64Array:
        """[frames] how long each frame lasts, milliseconds, as players take it. Only decoding tells."""
        found = []
        for own in range(frames):
            self._load(own)
            lasts = self._image.info.get("duration", 0)
            found.append(round(lasts) if isinstance(lasts, int | float) and lasts >= SHORTEST else USUAL)
        return np.array(found, np.int64)


def _damaged_frame(path: Path, own: int, fault: Exception) -> SmaltiError:
    return damaged(f"{path}, frame {own + 1}", fault)
