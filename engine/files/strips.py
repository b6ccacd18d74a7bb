# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are too large to be in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

NumberT = TypeVar("NumberT", bound=np.generic)
OtherT = TypeVar("OtherT", bound=np.generic)

STRIP_PIXELS = 2**17
"""Of a strip, about: it takes some 60 bytes for each."""


@dataclass(frozen=True, eq=False)
class Strips(Generic[NumberT]):
    """A picture [height, width, 4] in strips: iterating makes them, from the top to the bottom.

    Attributes:
        height, width: of the picture, pixels.
        make: makes one strip, [len(rows), width, 4], given its rows.
        multiple: strips begin at rows that are multiples of it.
    """

    height: int
    width: int
    make: Callable[[range], NDArray[NumberT]]
    multiple: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """As that of an array."""
        return self.height, self.width, 4

    def __iter__(self) -> Iterator[NDArray[NumberT]]:
        step = max(1, STRIP_PIXELS // (self.width * self.multiple)) * self.multiple
        for first in range(0, self.height, step):
            yield self.make(range(first, min(first + step, self.height)))

    def map(self, function: Callable[[NDArray[NumberT]], NDArray[OtherT]]) -> Strips[OtherT]:
        """The picture with its strips changed by `function`, which keeps their sizes."""
        return Strips(self.height, self.width, lambda rows: function(self.make(rows)), self.multiple)

    def whole(self) -> NDArray[NumberT]:
        """The picture as one array."""
        result, row = None, 0
        for strip in self:
            if len(strip) == self.height:
                return strip
            result = np.empty(self.shape, strip.dtype) if result is None else result
            result[row : row + len(strip)] = strip
            row += len(strip)
        assert result is not None
        return result


def strips_of(picture: NDArray[Any] | Strips[Any]) -> Iterator[NDArray[Any]]:
    """The strips of a picture, or an array [height, width, 4] as the only one."""
    return iter([picture] if isinstance(picture, np.ndarray) else picture)
