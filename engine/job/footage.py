# SPDX-License-Identifier: GPL-3.0-or-later
"""The footage that a job's target stands for: a picture, a folder or pattern of them, an animation, or a film."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from smalti.bridge.errors import SmaltiError, bad_setting
from smalti.bridge.frame_range import FrameRange, frame_range_of
from smalti.bridge.job import MAX_SIZE, JobSpec

from ..files.animation import Animation
from ..files.constant_rate import exact_rate
from ..files.film import Film
from ..files.film_index import TooFewFramesError
from ..files.footage import Footage, OneFrame, Part, Pictures
from ..files.images import frames_in, list_images, natural_order

FILMS = frozenset(
    (
        ".3gp", ".asf", ".avi", ".dv", ".flv", ".ivf", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
        ".mts", ".mxf", ".nut", ".obu", ".ogg", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    )
)  # fmt: skip
"""Endings of films."""
USUAL_RATE = 24.0
"""Frames per second of pictures, which do not say it."""


def footage_of(job: JobSpec) -> Footage:
    """The frames that a job rebuilds, at least one. Of none more than the header is read.

    Raises:
        SmaltiError: the target cannot be read, or there are no such frames (code ``"bad_setting"``).
    """
    target, frames = Path(job.target), _frames_of(job)
    whole = FrameRange() if frames is None else frames
    rate = None if job.frame_rate is None else exact_rate(job.frame_rate)
    if target.suffix.lower() in FILMS and not target.is_dir():
        found: Footage = _film(job, target, rate, whole)
    else:
        pictures = _pictures(target)
        if pictures is None:
            found = _animation(job, target, rate, whole)
        else:
            first, last = _within(job, whole, len(pictures))
            found = Pictures(pictures[first:last], MAX_SIZE)
    return found if whole.step == 1 else Part(found, range(0, len(found), whole.step))


def rate_of(job: JobSpec, footage: Footage) -> float:
    """Frames per second of the result."""
    if footage.rate is not None:
        return float(footage.rate)
    frames = _frames_of(job)
    return (job.frame_rate or USUAL_RATE) / (1 if frames is None else frames.step)


def _frames_of(job: JobSpec) -> FrameRange | None:
    if job.target_frame is not None:
        return FrameRange(job.target_frame, job.target_frame)
    return None if job.frames is None else frame_range_of(job.frames)


def _within(job: JobSpec, frames: FrameRange, count: int) -> tuple[int, int]:
    """The first frame of a range, from 0, and the one after its last.

    Raises:
        SmaltiError: code ``"bad_setting"``: there are only `count` frames.
    """
    last = frames.last or count
    if max(last, frames.first) > count:
        raise _not_there(job, count)
    return frames.first - 1, last


def _not_there(job: JobSpec, count: int) -> SmaltiError:
    if job.target_frame is not None:
        return bad_setting("target_frame", job.target_frame, f"at most {count}, the number of frames of {job.target}")
    return bad_setting("frames", job.frames, f"within 1:{count}, the frames of {job.target}")


def _film(job: JobSpec, path: Path, rate: Fraction | None, frames: FrameRange) -> Footage:
    first, last = frames.first - 1, None if frames.last is None else frames.last - 1
    try:
        return Film(path, rate, first, last)
    except TooFewFramesError as fault:
        raise _not_there(job, fault.count) from fault


def _animation(job: JobSpec, path: Path, rate: Fraction | None, frames: FrameRange) -> Footage:
    """A picture, or an animation. A frame that is chosen by itself is one of the file's own."""
    count = frames_in(path)
    if job.target_frame is not None:
        return OneFrame(path, _within(job, frames, count)[0], MAX_SIZE)
    if count == 1:
        _within(job, frames, count)
        return Pictures([path], MAX_SIZE)
    whole = Animation(path, count, rate)
    first, last = _within(job, frames, len(whole))
    return whole if last - first == len(whole) else Part(whole, range(first, last))


def _pictures(target: Path) -> list[Path] | None:
    """The pictures of a folder or a pattern; None where the target is one file.

    In a pattern, ``####`` or ``%04d`` stands for a number of four digits or more, and ``*`` for any letters.

    Raises:
        SmaltiError: as `list_images`; or nothing fits the pattern (code ``"no_pictures"``).
    """
    if target.is_dir():
        return list_images(target)
    name = target.name
    if target.exists() or not re.search(r"#|%0?\d*d|[*?]", name):
        return None
    fits = re.compile("".join(map(_fitting, re.findall(r"#+|%0?\d*d|.", name))))
    try:
        found = [each for each in target.parent.iterdir() if fits.fullmatch(each.name) and each.is_file()]
    except OSError:
        found = []
    if not found:
        raise SmaltiError(
            f"{target}: no picture fits this pattern.",
            "Check it; #### or %04d stands for a number, and * for any letters.",
            "no_pictures",
        )
    return sorted(found, key=lambda each: natural_order(each.name))


def _fitting(part: str) -> str:
    """The regular expression of a part of a pattern: a number, ``*``, ``?``, or a letter."""
    if part.startswith("#") or len(part) > 1:
        least = len(part) if part.startswith("#") else int(part[1:-1] or 1)
        return f"\\d{{{max(1, least)},}}"
    return {"*": ".*", "?": "."}.get(part, re.escape(part))
