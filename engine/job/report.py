# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a job: its quality, its resources, and what its open settings came to."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smalti.bridge.version import VERSION

from ..arrays import Float32Array, UInt8Array
from ..files.atomic import write_atomic
from ..files.images import premultiply
from .inputs import Inputs


class Ended(NamedTuple):
    """How a fit came to its end.

    Attributes:
        steps: gradient steps done.
        seconds: how long they took, with everything before and after.
        cancelled: whether the job was stopped before its end.
    """

    steps: int
    seconds: float
    cancelled: bool


def job_report(
    inputs: Inputs,
    sprites: int,
    psnrs: Sequence[float],
    constraints: Sequence[Mapping[str, float]],
    legibility: Mapping[str, float | int | None],
    ended: Ended,
) -> dict[str, Any]:
    """The contents of ``report.json``.

    Args:
        sprites: how many there are in the end.
        psnrs: dB of each frame.
        constraints: for each frame, what the constraints that are no guarantee came to (see `Fit.report`).
        legibility: of the first frame (see `smalti.engine.job.legibility.Legibility`).
        ended: how the fit came to its end.
    """
    smallest, largest = inputs.size_range
    report: dict[str, Any] = {
        "psnr": round(float(np.mean(psnrs)), 3),
        "legibility": dict(legibility),
        "seconds": round(ended.seconds, 3),
        "steps": ended.steps,
        "sprites": sprites,
        "templates": len(inputs.templates),
        "frames": len(psnrs),
        "width": inputs.width,
        "height": inputs.height,
        "device": inputs.device,
        "background": inputs.background,
        "smallest": round(smallest, 2),
        "largest": round(largest, 2),
        "peak_memory_mb": peak_memory_mb(),
        "cancelled": ended.cancelled,
        "engine_version": VERSION,
    }
    if sprites < inputs.count:
        report["dropped"] = inputs.count - sprites
    if inputs.job.until is not None:
        report["until"] = inputs.job.until
        report["reached"] = all(decibels >= inputs.job.until for decibels in psnrs)
    if inputs.regions:
        report["regions"] = [
            {"sprites": g.count, "smallest": round(g.size_range[0], 2), "largest": round(g.size_range[1], 2)}
            for g in inputs.regions
        ]
    if len(psnrs) > 1:
        report["psnr_frames"] = [round(decibels, 3) for decibels in psnrs]
    for name in constraints[0] if constraints else ():
        values = [round(frame[name], 4) for frame in constraints]
        report[name] = values[0] if len(values) == 1 else values
    return report


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a ``report.json`` in one step. Raises SmaltiError, code ``"cannot_write"``."""
    text = json.dumps(report, indent=1, allow_nan=False)
    write_atomic(path, lambda file: file.write(text.encode() + b"\n"))


def psnr(rendered: UInt8Array, goal: Float32Array, transparent: bool) -> float:
    """Peak signal-to-noise ratio in dB, peak 1, at most 100.

    Args:
        rendered: [H, W, 4], straight alpha, sRGB-encoded, as in render.png.
        goal: [H, W, 4], premultiplied, sRGB-encoded, 0 to 1.
        transparent: compare premultiplied RGBA, four channels; otherwise RGB, three channels.
    """
    channels = 4 if transparent else 3
    difference = premultiply(rendered)[..., :channels].astype(np.float64)
    difference -= goal[..., :channels]
    error = float(np.mean(np.square(difference, out=difference)))
    return float(min(100.0, -10 * np.log10(max(error, 1e-10))))


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in MiB since it started; None where the system does not say."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":
        # Not what getrusage says: there a process begins with the peak of the one that started it, Blender's.
        with suppress(OSError):
            found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
            if found is not None:
                return round(int(found[1]) / 2**10, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
