# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a job in a test: what it reports, what refuses it, and whether two gave the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobs import contents

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.engine.api import fit
from smalti.engine.composition import Composition
from smalti.engine.job.run import NullListener, Outcome, resume_job, run_job
from smalti.engine.templates import Template

FINISHED = {
    "composition.json",
    "engine.log",
    "frames.npz",
    "job.json",
    "levels/levels.json",
    "render.png",
    "report.json",
}
BITMAPS = {f"{folder}/{number:04d}.png" for folder in ("templates", "levels") for number in (1, 2)}
"""Those of a job with two."""


class Recorder(NullListener):
    """Records what is reported, and calls `then` after the step `step`."""

    def __init__(self, step: int = -1, then: Callable[[], object] = lambda: None) -> None:
        self.stages: list[tuple[str, int, int]] = []
        self.losses: list[float] = []
        self.previews: list[Path] = []
        self._step, self._then = step, then

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        self.stages.append((stage, done, total))
        if loss is not None:
            self.losses.append(loss)
            assert eta is not None
            assert eta >= 0
            if done == self._step:
                self._then()

    def preview(self, path: Path) -> None:
        self.previews.append(path)

    def after(self, steps: int) -> Callable[[], bool]:
        """Whether this many steps have been reported: a `should_stop` of `run_job`."""
        return lambda: len(self.losses) >= steps


def refused(work: Callable[[], object]) -> SmaltiError:
    """The error, of one line, that `work` ends with."""
    with pytest.raises(SmaltiError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return caught.value


def stopped(job: JobSpec, out: Path, after: int) -> Outcome:
    """Run a job and stop it after `after` steps."""
    recorder = Recorder()
    outcome = run_job(job, out, listener=recorder, should_stop=recorder.after(after))
    assert outcome.cancelled
    return outcome


def same_result(a: Path, b: Path) -> bool:
    """Whether two jobs have the same composition, bit for bit."""
    return (a / "frames.npz").read_bytes() == (b / "frames.npz").read_bytes()


def without_log(folder: Path) -> dict[str, bytes]:
    """Every file of a job folder but its log, by its path."""
    return {name: data for name, data in contents(folder).items() if name != "engine.log"}


def refused_and_unchanged(half: Path) -> SmaltiError:
    """The error with which the job in a folder is not resumed; the folder stays as it is."""
    before = without_log(half)
    fault = refused(lambda: resume_job(half))
    assert without_log(half) == before
    return fault


def fit_regions(pictures: Path, templates: list[Template], *regions: dict[str, Any], **settings: Any) -> Composition:
    """A quick fit of `target.png` with these regions, whose masks are named without folder and ending."""
    given = [{**region, "mask": pictures / f"{region['mask']}.png"} for region in regions]
    usual = {"count": 30, "steps": 50}
    return fit(pictures / settings.pop("target", "target.png"), templates, regions=given, **{**usual, **settings})
