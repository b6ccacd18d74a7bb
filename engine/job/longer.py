# SPDX-License-Identifier: GPL-3.0-or-later
"""Films that go on: a job that has frames gets more after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from smalti.bridge.composition import PER_FRAME
from smalti.bridge.errors import SmaltiError, bad_setting
from smalti.bridge.folder import ARRAYS, CHECKPOINT, COMPOSITION, LAST_FRAME
from smalti.bridge.frame_range import FrameRange, frame_range_of
from smalti.bridge.job import JobSpec

from ..composition import read_arrays
from .checkpoint import Checkpoint


def with_frames(job: JobSpec, frames: str | None) -> JobSpec:
    """The job with other frames of its target, which begin as its own do; None for its own.

    Raises:
        SmaltiError: code ``"bad_setting"``.
    """
    if frames is None:
        return job
    now = replace(job, frames=frames).checked()
    was, becomes = (frame_range_of(each.frames or "1:") or FrameRange() for each in (job, now))
    if (was.first, was.step) != (becomes.first, becomes.step):
        own = f"{was.first}:" + (f":{was.step}" if was.step > 1 else "")
        raise bad_setting("frames", frames, f"{own} with another last frame, as the job began with it")
    return now


def checkpoint_of(out: Path, longer: bool) -> Path:
    """The file from which a job goes on. `longer`: whether it is to have more frames, so that it may be finished.

    Raises:
        SmaltiError: code ``"job_finished"``.
    """
    if (out / CHECKPOINT).is_file() or not (out / COMPOSITION).is_file():
        return out / CHECKPOINT
    if not (out / LAST_FRAME).is_file():
        raise SmaltiError(f"{out}: this job is finished, so there is nothing to resume.", code="job_finished")
    if not longer:
        raise SmaltiError(
            f"{out}: this film is finished, so there is nothing to resume.",
            "Say which frames it is to have, where it is to have more (--frames 1:200).",
            "job_finished",
        )
    return out / LAST_FRAME


def state_of(checkpoint: Checkpoint, path: Path, frames: int) -> Mapping[str, NDArray[Any]]:
    """The state for `Fit.restore`. That of a finished film has its frames in the composition.

    Args:
        path: the checkpoint's file.
        frames: how many the job has now.

    Raises:
        SmaltiError: they are no more than before (code ``"job_finished"``), or the composition cannot be read.
        KeyError, IndexError: the checkpoint is damaged.
    """
    state = checkpoint.state
    if path.name != LAST_FRAME:
        return state
    last = int(state["frame"])
    if frames <= last + 1:
        raise SmaltiError(
            f"{path.parent}: has {last + 1} frames already, and is to have {frames}.",
            "Give a later last frame (--frames), or start another job.",
            "job_finished",
        )
    arrays = read_arrays(path.parent / ARRAYS)
    return {**state, **{f"done.{name}": arrays[name][:last] for name in PER_FRAME}}
