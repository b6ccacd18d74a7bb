# SPDX-License-Identifier: GPL-3.0-or-later
"""At which of a film's own frames another film of a constant rate looks.

A frame of that film shows what is to be seen in the middle of its time, so that times which files round (to
milliseconds, say) do no harm.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ..arrays import Int64Array

FINEST = 1001
"""Of the fractions that rates are, the largest denominator: television has 24000/1001."""


def exact_rate(rate: float) -> Fraction:
    """Frames per second as the fraction that a decimal number above 0 stands for, at least 1/1001."""
    return max(Fraction(rate).limit_denominator(FINEST), Fraction(1, FINEST))


def middle(index: int, rate: Fraction) -> Fraction:
    """Seconds from the beginning to the middle of a frame, from 0."""
    return (index + Fraction(1, 2)) / rate


def frames_within(seconds: Fraction, rate: Fraction) -> int:
    """Number of frames of a film that lasts as long; at least 1."""
    return max(1, math.ceil(seconds * rate - Fraction(1, 2)))


def own_frames(times: Int64Array, count: int, unit: Fraction, rate: Fraction, first: int = 0) -> Int64Array:
    """The own frame, by its index, that each frame of a film of constant rate shows.

    Args:
        times: [n] when each own frame begins, ascending, in units of `unit` seconds from the beginning.
        count: frames of the other film.
        unit: seconds.
        rate: frames per second of the other film.
        first: the first of these frames, from 0.
    """
    # In whole numbers, so that no two machines differ: the middle in units is (2 k + 1) / (2 rate unit).
    ratio = 2 * rate * unit
    middles = [(2 * k + 1) * ratio.denominator // ratio.numerator for k in range(first, first + count)]
    return np.maximum(np.searchsorted(times, np.array(middles, np.int64), side="right") - 1, 0).astype(np.int64)
