# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti fit``, ``estimate`` and ``resume``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.bridge.choices import PRESETS, everyday

from .commands import INTERRUPTED, Commands
from .options import add_options, add_positional, job_of, option_of

if TYPE_CHECKING:
    from ..job.run import Listener, Outcome


def add(commands: Commands) -> None:
    """Add the commands."""
    fit = commands.add(
        "fit",
        _fit,
        "start a job",
        "Rebuild TARGET out of the bitmaps of a folder, or out of letters, into a new job folder.",
        name_of=option_of,
    )
    add_positional(fit)
    fit.add_argument("--out", required=True, metavar="JOB", type=Path, help="the job folder to create")
    fit.add_argument("--overwrite", action="store_true", help="replace the job that is in JOB")
    add_options(fit)

    presets = everyday(PRESETS)
    estimate = commands.add(
        "estimate",
        _estimate,
        "how long a job would take",
        "Say how long `smalti fit` with the same settings would take here: with the given --preset, or with each of "
        f"{', '.join(presets)}. Writes nothing.",
        name_of=option_of,
    )
    add_positional(estimate)
    add_options(estimate)

    resume = commands.add("resume", _resume, "go on with an interrupted job, or with more frames of a film")
    resume.add_argument("job", metavar="JOB", type=Path, help="its job folder")
    resume.add_argument(
        "--frames",
        metavar="FIRST:LAST[:STEP]",
        help="the frames that a film is to have now: those that it has, and more after them; 1: for all that there are",
    )


def _fit(options: argparse.Namespace) -> int:
    job = job_of(options)
    from ..job.run import run_job

    return _tell(
        _watched(
            lambda listener, stop: run_job(
                job, options.out, overwrite=options.overwrite, listener=listener, should_stop=stop
            )
        )
    )


def _estimate(options: argparse.Namespace) -> int:
    job = job_of(options)
    from ..job.estimate import estimates

    for found in estimates(job, everyday(PRESETS) if options.preset is None else (job.preset,)):
        first = f" ({found.first_steps} for the first frame)" if found.steps > found.first_steps else ""
        print(f"{found.preset:10} {found.steps:6} steps{first}   about {_duration(found.seconds)}")
    return 0


def _duration(seconds: float) -> str:
    if seconds > 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} s" if seconds > 10 else f"{seconds:.1f} s"


def _resume(options: argparse.Namespace) -> int:
    from ..job.run import resume_job

    return _tell(
        _watched(
            lambda listener, stop: resume_job(options.job, frames=options.frames, listener=listener, should_stop=stop)
        )
    )


def _tell(outcome: Outcome) -> int:
    report = outcome.report
    legibility = report["legibility"]["legibility"]
    print(
        f"{outcome.folder}: {report['sprites']} sprites, {report['steps']} steps, {report['psnr']:.2f} dB, "
        + ("" if legibility is None else f"legibility {legibility:.2f}, ")
        + f"{report['seconds']:.1f} s"
    )
    if outcome.cancelled:
        print(f"smalti: stopped; the best so far is kept. Go on with: smalti resume {outcome.folder}", file=sys.stderr)
        return INTERRUPTED
    return 0


class _Bar:
    """A progress bar on stderr, or nothing where that is no terminal."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=0, unit="step", disable=None, leave=False, dynamic_ncols=True)

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        self.bar.total = total
        self.bar.set_description(stage, refresh=False)
        if loss is not None:
            self.bar.set_postfix(loss=f"{loss:.5f}", refresh=False)
        self.bar.n = done
        self.bar.update(0)

    def preview(self, path: Path) -> None:
        """The bar is all that a terminal shows."""


def _watched(work: Callable[[Listener, Callable[[], bool]], Outcome]) -> Outcome:
    """Do `work` with a progress bar on a terminal, and Ctrl-C as a request to stop in good order (twice: at once)."""
    stop = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    listener = _Bar()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        return work(listener, stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
        listener.bar.close()
