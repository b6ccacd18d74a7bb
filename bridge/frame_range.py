# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a film are meant, and how many there are a second: the settings.

A range is ``"FIRST:LAST"`` or ``"FIRST:LAST:STEP"``, from 1, both ends included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .settings import setting

RANGE = "FIRST:LAST or FIRST:LAST:STEP, such as 1:48 or 1:48:2"
MOST = 10_000_000
"""Frames of a film, at most."""


@dataclass(frozen=True)
class FrameRange:
    """Some frames of a film.

    Attributes:
        first: the first one, from 1.
        last: the last one that may be among them; None for the film's.
        step: from one to the next.
    """

    first: int = 1
    last: int | None = None
    step: int = 1


def frame_range_of(text: str) -> FrameRange | None:
    """The range that a text says, None where it says none. Either end may be left out: ``"25:"``, ``":48"``."""
    found = re.fullmatch(r"\s*(\d{0,8})\s*:\s*(\d{0,8})\s*(?::\s*(\d{1,8})\s*)?", text)
    if found is None or not any(found.groups()):
        return None
    first, last, step = (int(group) if group else None for group in found.groups())
    result = FrameRange(1 if first is None else first, last, 1 if step is None else step)
    good = 1 <= result.first <= (MOST if last is None else last) <= MOST and 1 <= result.step <= MOST
    return result if good else None


def frame_range_rule(text: str) -> str:
    """What a text must be and is not; empty where it is good."""
    return "" if frame_range_of(text) else f"{RANGE}, from 1 and with FIRST at most LAST"


target_frame: Any = setting(
    None,
    "Frame",
    "Rebuild this frame alone of a film, an animation or a folder, from 1",
    none="all frames",
    low=1,
    begin=1,
    flag="--frame",
)
frames: Any = setting(
    None,
    "Frames",
    f"Which frames of the target to rebuild, from 1: {RANGE}",
    none="all frames",
    check=frame_range_rule,
    metavar="FIRST:LAST[:STEP]",
)
frame_rate: Any = setting(
    None,
    "Frame Rate",
    "Frames per second of the target; a film or an animation is made to have as many, at its own speed",
    none="the target's own, of pictures 24",
    above=0,
    high=1000,
    soft_high=60,
    begin=24,
    metavar="FPS",
)
