# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a picture a smaller one is, by normalized cross-correlation: brightness and contrast do not count."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FLAT = 4.0  # variance of a pixel, in levels of 255: below it there is nothing to be seen


class Searched:
    """A picture in which others are looked for.

    Args:
        levels: [height, width], 0 to 255.
        largest: height and width of the largest that will be looked for.
    """

    def __init__(self, levels: Values, largest: tuple[int, int]) -> None:
        self.levels = levels
        # What comes round from the other side lies beyond the picture.
        self._shape = levels.shape[0] + largest[0], levels.shape[1] + largest[1]

    @cached_property
    def _spectrum(self) -> NDArray[np.complexfloating[Any, Any]]:
        return np.fft.rfft2(self.levels.astype(np.float32), self._shape)

    @cached_property
    def _sums(self) -> tuple[Values, Values]:
        first, second = (np.pad(p.cumsum(0).cumsum(1), ((1, 0), (1, 0))) for p in (self.levels, self.levels**2))
        return first, second

    def scores(self, template: Values) -> Values:
        """[rows, columns] of correlations, -1 to 1, by its upper left corner's place; empty where it is too large."""
        height, width = template.shape
        rows, columns = self.levels.shape
        if height > rows or width > columns:
            return np.zeros((0, 0))
        template = template - template.mean()
        spectrum = np.fft.rfft2(template[::-1, ::-1].astype(np.float32), self._shape)
        product = np.fft.irfft2(self._spectrum * spectrum, self._shape)[height - 1 : rows, width - 1 : columns]
        first, second = (
            s[height:, width:] - s[:-height, width:] - s[height:, :-width] + s[:-height, :-width] for s in self._sums
        )
        spread = np.maximum(second - first**2 / template.size, FLAT * template.size)
        scores: Values = product / np.sqrt(spread * (template**2).sum())
        return scores
