# SPDX-License-Identifier: GPL-3.0-or-later
"""How much work a fit takes: the presets of `smalti.bridge.job.JobSpec`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smalti.bridge.job import Preset

from . import diffbmp as published
from .exchange import Effort


@dataclass(frozen=True)
class Work:
    """What a preset chooses.

    Attributes:
        steps: gradient steps for a number of sprites.
        effort: of exchanging bitmaps.
    """

    steps: Callable[[int], int]
    effort: Effort


def usual_steps(count: int, times: float = 1.0) -> int:
    """More sprites hide each other more, and find their places later: 300 for 100, 500 for 1,000, 700 for 10,000."""
    return round(times * int(np.clip(round(-100 + 200 * np.log10(count), -1), 200, 1000)))


PRESETS: dict[Preset, Work] = {
    "draft": Work(lambda count: usual_steps(count, 0.3), Effort(tries=2, every=5)),
    "balanced": Work(usual_steps, Effort()),
    "best": Work(lambda count: usual_steps(count, 2.0), Effort(tries=4, every=3, rounds=300)),
    "published": Work(lambda count: published.STEPS, Effort(tries=0)),
}
