# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fit keeps the sprites of its finished frames: in memory, unless a job keeps them on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.composition import PER_FRAME

from ..arrays import Int32Array
from ..sprites import Sprites


class Tracks(Protocol):
    """The sprites of finished frames, float32, in their order. All frames have the same templates."""

    def __len__(self) -> int:
        """Frames that are finished."""

    def __getitem__(self, frame: int) -> Sprites:
        """Those of a frame, from 0; -1 is the last one. Raises IndexError where there is none."""

    def append(self, sprites: Sprites) -> None:
        """Keep one more frame."""

    def state(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint has to hold of them, for `restore`."""

    def restore(self, state: Mapping[str, NDArray[Any]], template: Int32Array, count: int) -> None:
        """Go back to the first `count` frames, whose templates are `template` [N].

        Raises:
            KeyError, ValueError, IndexError: the state does not hold them.
        """


class TracksInMemory(list[Sprites]):
    """Tracks that are as large as the film is long."""

    def state(self) -> dict[str, NDArray[Any]]:
        """All of them, [frames, N]."""
        return {f"done.{name}": np.stack([getattr(f, name) for f in self]) for name in PER_FRAME} if self else {}

    def restore(self, state: Mapping[str, NDArray[Any]], template: Int32Array, count: int) -> None:
        """See `Tracks`."""
        self[:] = [kept(state, template, frame) for frame in range(count)]


def kept(state: Mapping[str, NDArray[Any]], template: Int32Array, frame: int) -> Sprites:
    """A frame out of what `TracksInMemory.state` returned. Raises KeyError or IndexError where it is not there."""
    return Sprites(template, **{name: state[f"done.{name}"][frame] for name in PER_FRAME})
