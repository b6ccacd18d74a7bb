# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job: read, fit, save checkpoints, render, finish; or resume."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, SupportsFloat

import numpy as np

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import (
    CHECKPOINT,
    JOB,
    LAST_FRAME,
    PREVIEW,
    REPORT,
    TEMPLATE_FOLDER,
    picture_file,
    template_file,
)
from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import read_id, read_job, write_job
from smalti.bridge.job_folder import clear_tracks, remove_leftovers

from ..arrays import UInt8Array
from ..composition import save_composition
from ..composition.level_sheets import write_level_sheets
from ..composition.render import picture, preview
from ..files.images import write_png
from ..fitting.fit import Fit
from ..memory import release_freed_memory
from ..templates import read_template, save_templates
from .checkpoint import Findings, must_fit, read_checkpoint, write_checkpoint
from .film_quality import measure
from .fingerprints import Fingerprints
from .folder import begun, check_free, id_of, locked, make_folder, new_folder, still_there
from .footage import footage_of
from .inputs import Inputs, read_inputs
from .legibility import legibility_of
from .longer import checkpoint_of, state_of, with_frames
from .report import Ended, job_report, psnr, write_report
from .result import compose
from .tracks import JobTracks

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 5.0
"""Between two checkpoints."""
LOSS_SECONDS = 0.05
"""Between two readings of the loss, each of which waits for a GPU."""
LIKENESS_STEPS = 8
"""Steps between two looks at the likeness where a job stops at one. They follow the steps and not the clock, so that
the same job stops at the same step."""
PREVIEW_SECONDS = 2.0
"""Between two previews."""


class Listener(Protocol):
    """Receives the progress of a job."""

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        """`done` of `total` steps of the stage; the loss (0 to 1 for "mse") and seconds to go where known."""

    def preview(self, path: Path) -> None:
        """A picture of the job so far was written."""


class NullListener:
    """A listener that ignores everything."""

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        """Nothing."""

    def preview(self, path: Path) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Outcome:
    """A job folder with a valid composition. `report`: as in report.json; `cancelled`: whether it was cut short."""

    folder: Path
    report: dict[str, Any]
    cancelled: bool


def run_job(
    job: JobSpec,
    out: Path,
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do a job and leave its folder.

    Args:
        job: what to do. Paths may be relative; job.json keeps them absolute.
        out: the job folder to create; it may exist if it is empty.
        overwrite: replace the Smalti job that is in `out`.
        listener: receives the progress.
        should_stop: called before every step; True ends the fit and keeps the best so far as a valid job.

    Raises:
        SmaltiError: bad input or output. Before the first step nothing is left behind; after it, the checkpoint stays.
    """
    job = absolute(job.checked())
    check_free(out, job, overwrite)
    inputs = read_inputs(job)
    with new_folder(out), locked(out) as log:
        check_free(out, job, overwrite)  # again: another process may have been faster
        log.truncate(0)
        _log_choices(inputs)
        fingerprints = Fingerprints(job, inputs.frames.footage)
        release_freed_memory()
        fitting = inputs.fitting(JobTracks(out))
        release_freed_memory()
        with begun(out, job) as job_id:
            run = _Run(job_id, inputs, fitting, fingerprints, out, listener or NullListener(), should_stop)
            run.write_start()
        return run.finish()


def resume_job(
    out: Path,
    *,
    frames: str | None = None,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Go on with the job in the folder `out` from its last checkpoint, to the same result as without the interruption.

    Args:
        frames: which frames of its target the job is to have now (see `smalti.bridge.frame_range`): those that it has,
            and more after them. A finished film goes on after its last frame.

    Raises:
        SmaltiError: there is no job, it is finished, or a file that it needs is missing, damaged, or another than the
            one that it began with.
    """
    if not (out / JOB).is_file():
        raise SmaltiError(f"{out}: holds no Smalti job.", "Choose the output folder of an interrupted job.", "no_job")
    job = with_frames(read_job(out / JOB), frames)
    with locked(out):
        path = checkpoint_of(out, longer=frames is not None)
        remove_leftovers(out)
        checkpoint = read_checkpoint(path, job)
        fingerprints = Fingerprints(job, footage_of(job))
        with must_fit(path):
            fingerprints.check(checkpoint.state, more=frames is not None)
        templates = [
            replace(read_template(out / template_file(i), name), weight=weight, letter=letter)
            for i, (name, weight, letter) in enumerate(
                zip(checkpoint.names, checkpoint.template_weights, checkpoint.letters)
            )
        ]
        inputs = read_inputs(job, templates, checkpoint.template_counts, placement=checkpoint.placement)
        checkpoint.check(inputs)
        fitting = inputs.fitting(JobTracks(out))
        with must_fit(path):
            fitting.restore(state_of(checkpoint, path, fitting.frames))
        job_id = id_of(out)
        if frames is not None or not read_id(out / JOB):  # an older version began it
            write_job(out / JOB, job, job_id)
        logger.info("Resumed at step %d of %d.", fitting.steps_done, fitting.steps)
        run = _Run(
            job_id, inputs, fitting, fingerprints, out, listener or NullListener(), should_stop, checkpoint.findings
        )
        run.write_reopened()
        return run.finish()


def absolute(job: JobSpec) -> JobSpec:
    """The job with absolute paths, so that it means the same from every folder."""
    return job.with_paths(lambda path: str(Path(path).absolute()))


def _log_choices(inputs: Inputs) -> None:
    """Log what the open settings became."""
    logger.info(
        "Canvas %d x %d, %d sprites of %g to %g pixels from %d bitmaps, %d steps, background %s, on %s.",
        inputs.width,
        inputs.height,
        inputs.count,
        *(round(side, 1) for side in inputs.size_range),
        len(inputs.templates),
        inputs.steps,
        inputs.background,
        inputs.device,
    )
    for number, group in enumerate(inputs.regions, 1):
        sizes = (round(side, 1) for side in group.size_range)
        logger.info("Region %d: %d sprites of %g to %g pixels.", number, group.count, *sizes)


@dataclass
class _Run:
    """A job at work.

    Attributes:
        id: see `smalti.bridge.job_file.new_id`.
        inputs: what the job reads.
        fitting: its fit.
        fingerprints: those of its files.
        out: its folder.
        listener: receives the progress.
        should_stop: whether to end before the next step.
        spent: seconds that earlier runs of the job took.
        began: when this run began, seconds of the monotonic clock.
        psnrs: quality in dB of the frames that are rendered, by index.
        legibility: of the first frame, once it is rendered.
    """

    id: str
    inputs: Inputs
    fitting: Fit
    fingerprints: Fingerprints
    out: Path
    listener: Listener
    should_stop: Callable[[], bool]
    found: Findings = field(default_factory=Findings)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the job has run, with its earlier runs."""
        return self.found.seconds + time.monotonic() - self.began

    def write_start(self) -> None:
        """Write the files that a resumed job needs."""
        templates = self.inputs.templates
        with still_there(self.out):
            make_folder(self.out / TEMPLATE_FOLDER, parents=False)
            save_templates(templates, [self.out / template_file(index) for index in range(len(templates))])
            if self.inputs.background_image is not None:
                write_png(self.out / self.inputs.background, self.inputs.background_image)
            self._write_checkpoint()

    def write_reopened(self) -> None:
        """Make of a finished film that is to have more frames one that was interrupted."""
        if (self.out / LAST_FRAME).is_file():
            self._write_checkpoint()
            (self.out / LAST_FRAME).unlink()

    def finish(self) -> Outcome:
        """Do the steps that are left, and write the result."""
        with still_there(self.out):
            finished = self._fit()
            if finished:
                if self.fitting.frames > 1:
                    self._write_checkpoint()  # becomes LAST_FRAME
                self.fitting.end()
            return self._write_result(cancelled=not finished)

    def _fit(self) -> bool:
        """Do the steps that are left. Returns False if the job is to stop before the last one."""
        self.began = saved = shown = time.monotonic()
        loss_read, loss = 0.0, math.nan
        first_step = self.fitting.steps_done
        while not self.fitting.finished:
            if self.should_stop():
                return False
            frame = self.fitting.frame
            step_loss = self._step()
            now = time.monotonic()
            if now - loss_read > LOSS_SECONDS or self.fitting.finished:
                loss_read, loss = now, float(step_loss)
            self._report_step(loss, (now - self.began) / max(self.fitting.steps_done - first_step, 1))
            if now - shown > PREVIEW_SECONDS:
                self._write_preview()
                shown = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS or self.fitting.frame != frame:
                self._write_checkpoint()
                saved = time.monotonic()
        return True

    def _step(self) -> SupportsFloat:
        """One gradient step. Returns its loss."""
        frame = self.fitting.frame
        loss = self.fitting.step()
        self.fingerprints.add_frames(self.fitting.frame)
        if self.fitting.frame != frame:  # rendered now, while its target is in memory
            self._render(frame)
        until, done = self.inputs.job.until, self.fitting.optimiser.done
        if until is not None and done % LIKENESS_STEPS == 0 and not self.fitting.optimiser.finished:
            frame = self.fitting.frame
            if self._likeness(frame, picture(compose(self.inputs, self.fitting.result(frame)))) >= until:
                self.fitting.stop_frame()
        return loss

    def _likeness(self, frame: int, rendered: UInt8Array) -> float:
        """The PSNR of a frame's picture, dB."""
        return psnr(rendered, self.inputs.goal(frame), self.inputs.background == "transparent")

    def _report_step(self, loss: float, pace: float) -> None:
        """Report a step's loss, and the time to go at a pace in seconds per step.

        Raises:
            SmaltiError: code ``"diverged"``: the loss is not finite.
        """
        fitting = self.fitting
        done, total = fitting.steps_done, fitting.steps
        stage = "fit" if fitting.frames == 1 else f"frame {fitting.frame + 1} of {fitting.frames}"
        self.listener.progress(stage, done, total, loss, pace * (total - done))
        if not np.isfinite(loss):
            raise SmaltiError(
                "The fit went astray (the loss is not a number).",
                f"Please report this with {self.out / JOB}.",
                "diverged",
            )

    def _write_preview(self) -> None:
        release_freed_memory()
        path = self.out / PREVIEW
        composition = compose(self.inputs, self.fitting.result(self.fitting.frame))
        write_png(path, preview(composition, self.fitting.atlas, self.inputs.device))
        self.listener.preview(path)

    def _write_checkpoint(self) -> None:
        found = replace(self.found, seconds=self.seconds)
        write_checkpoint(self.out / CHECKPOINT, self.inputs, self.fitting, self.fingerprints, found)

    def _render(self, frame: int) -> None:
        """Write the picture of a frame, and measure its quality and, of the first one, its legibility."""
        release_freed_memory()
        composition = compose(self.inputs, self.fitting.result(frame))
        # On the CPU, whatever the job's device: as when the finished job is rendered again.
        rendered = picture(composition)
        path = self.out / picture_file(frame, self.fitting.frames)
        if path.parent != self.out:  # which must not come back where it was moved away
            make_folder(path.parent, parents=False)
        write_png(path, rendered)
        if frame not in self.found.psnrs and self.fitting.frames > 1:
            measure(frame, rendered, self.out, self.inputs, self.fitting, self.found.film)
        self.found.psnrs[frame] = self._likeness(frame, rendered)
        if frame == 0:
            self.found.legibility = legibility_of(composition, self.inputs.drawable_target(frame)).as_json()

    def _write_result(self, cancelled: bool) -> Outcome:
        """Write everything else; the checkpoint is removed only when all of it is in place."""
        fitting, out = self.fitting, self.out
        if cancelled:
            self._write_checkpoint()
        frames = fitting.frame + 1
        psnrs = self.found.psnrs
        for frame in range(frames):
            if frame not in psnrs or not (out / picture_file(frame, fitting.frames)).is_file():
                self._render(frame)
            self.listener.progress("render", frame + 1, frames, None, None)
        one = compose(self.inputs, fitting.result(0))
        composition = replace(one, header=replace(one.header, frames=frames, id=self.id))
        write_level_sheets(out, composition, fitting.sprites)
        save_composition(out, composition.header, fitting.sprites)
        constraints = fitting.report()
        report = job_report(
            self.inputs,
            composition.header.sprites,
            [psnrs[frame] for frame in range(frames)],
            constraints,
            self.found.legibility,
            Ended(fitting.steps_done, self.seconds, cancelled),
        )
        if fitting.frames > 1:
            report["cuts"] = [frame + 1 for frame in fitting.cuts]
            report["film"] = self.found.film.as_json()
        if hidden := max((frame.get("hidden", 0) for frame in constraints), default=0):
            logger.warning(
                "%d sprites are less visible than required: choose fewer or smaller ones, or a smaller visible share.",
                hidden,
            )
        if "dropped" in report:
            logger.warning(
                "%d of %d sprites were dropped, as there was no room for them to be visible or of use.",
                report["dropped"],
                self.inputs.count,
            )
        write_report(out / REPORT, report)
        (out / PREVIEW).unlink(missing_ok=True)
        if not cancelled:
            if fitting.frames > 1:
                (out / CHECKPOINT).replace(out / LAST_FRAME)
            (out / CHECKPOINT).unlink(missing_ok=True)
            clear_tracks(out)
        logger.info("%s after %d steps: %.2f dB.", "Stopped" if cancelled else "Done", report["steps"], report["psnr"])
        return Outcome(out, report, cancelled)
