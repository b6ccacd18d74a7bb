# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job, from what was asked to its finished folder: read, create, fit, keep, finish, resume."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.bridge import composition as contract
from smalti.bridge import job as job_file
from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.version import VERSION

from .atomic import write_atomic
from .composition import Composition, load_composition, read_arrays, save_composition, write_arrays
from .cpu import threads_to_kernels
from .fit.sequence import Fitting
from .images import premultiply, write_png
from .inputs import Inputs, read_inputs
from .render import picture
from .templates import Template, read_template, save_template

logger = logging.getLogger("smalti")

CHECKPOINT = "checkpoint.npz"
PREVIEW = "preview.png"
RENDER = "render.png"
RENDER_FOLDER = "render"
TEMPLATE_FOLDER = "templates"
REPORT = "report.json"
LOG = "engine.log"

CHECKPOINT_SECONDS = 5.0
PREVIEW_SECONDS = 2.0


class Listener(Protocol):
    """Whoever wants to hear how a job goes."""

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        """`done` of `total` steps of the stage; the loss (mean squared error, 0 to 1) and seconds to go where known."""

    def preview(self, path: Path) -> None:
        """A picture of the job so far was written."""


class Silent:
    """A listener that does not listen."""

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        """Nothing."""

    def preview(self, path: Path) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Outcome:
    """A job folder with a valid composition. `report` is what report.json says; `cancelled` whether it was cut short."""

    folder: Path
    report: dict[str, Any]
    cancelled: bool


def run_job(
    job: JobSpec, out: Path, *, overwrite: bool = False, listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do a job and leave its folder.

    Args:
        job: what to do. Paths may be relative; job.json keeps them absolute.
        out: the job folder to create; it may exist if it is empty.
        overwrite: replace the Smalti job that is in `out`.
        should_stop: asked after every step; True ends the fit and keeps the best so far as a valid job.

    Raises:
        SmaltiError: bad input or output. Before the first step nothing is left behind; after it, the checkpoint stays.
    """
    job = absolute(job.checked())
    inputs = read_inputs(job)
    _claim(out, overwrite)
    made = not out.exists()
    try:
        _make_folder(out)
        with _log_file(out):
            _say_what_was_chosen(inputs)
            with threads_to_kernels():
                fitting = inputs.fitting()
            _write_start(out, inputs, fitting)
            job_file.write_job(out / job_file.FILE_NAME, job)
    except BaseException:
        clear(out)
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise
    with _log_file(out):
        return _work(inputs, fitting, out, listener or Silent(), should_stop, spent=0.0)


def resume_job(
    out: Path, *, listener: Listener | None = None, should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Go on with the job in the folder `out` from its last checkpoint, to the same result as without the interruption.

    Raises:
        SmaltiError: there is no job, it is finished, or a file that it needs is missing or damaged.
    """
    path = out / CHECKPOINT
    if not (out / job_file.FILE_NAME).is_file():
        raise SmaltiError(f"{out}: holds no Smalti job.", "Choose the output folder of an interrupted job.", "no_job")
    job = job_file.read_job(out / job_file.FILE_NAME)
    if not path.is_file():
        raise SmaltiError(f"{out}: this job is finished, so there is nothing to resume.", code="job_finished")
    state = read_arrays(path)
    try:
        names = [str(name) for name in state["names"]]
        spent = float(state["seconds"])
    except (KeyError, TypeError, ValueError) as fault:
        raise _damaged(path, fault) from fault
    templates = [read_template(out / _template_file(i), name) for i, name in enumerate(names)]
    with _log_file(out):
        inputs = read_inputs(job, templates)
        try:
            with threads_to_kernels():
                fitting = inputs.fitting()
                fitting.restore(state)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as fault:
            raise _damaged(path, fault) from fault
        logger.info("Resumed at step %d of %d.", fitting.steps_done, fitting.steps)
        return _work(inputs, fitting, out, listener or Silent(), should_stop, spent)


def absolute(job: JobSpec) -> JobSpec:
    """The job with absolute paths, so that it means the same from every folder."""
    def full(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    is_path = job.background not in ("auto", "transparent") and not job.background.startswith("#")
    return replace(
        job, target=full(job.target), primitives=full(job.primitives),
        background=full(job.background) if is_path else job.background,
        target_mask=None if job.target_mask is None else full(job.target_mask))


def clear(folder: Path) -> None:
    """Remove a job's own files from its folder, and nothing else."""
    for name in (job_file.FILE_NAME, contract.FILE_NAME, contract.ARRAYS_NAME, CHECKPOINT, PREVIEW, RENDER, REPORT, LOG,
                 "background.png", "layers.psd"):
        (folder / name).unlink(missing_ok=True)
    for sub in (TEMPLATE_FOLDER, RENDER_FOLDER):
        if (folder / sub).is_dir() and not (folder / sub).is_symlink():
            for file in (folder / sub).glob("[0-9]*.png"):
                file.unlink()
            if not any((folder / sub).iterdir()):
                (folder / sub).rmdir()


def _claim(out: Path, overwrite: bool) -> None:
    """See that `out` can become a job folder, and empty it of the job that it may replace."""
    if out.exists() and not out.is_dir():
        raise SmaltiError(f"{out}: the output folder is a file.", "Choose another folder.", "output_not_folder")
    try:
        files = list(out.iterdir()) if out.exists() else []
    except OSError as fault:
        raise SmaltiError(f"{out}: cannot be read ({fault.strerror}).", "Choose another folder.", "cannot_write") from fault
    if (out / job_file.FILE_NAME).exists():
        if not overwrite:
            raise SmaltiError(f"{out}: holds another job.", "Choose another folder, resume it, or overwrite it.",
                              "output_holds_job")
        clear(out)
    elif files:
        raise SmaltiError(f"{out}: is not empty.", "Choose an empty folder, or one that does not exist yet.",
                          "output_not_empty")


def _make_folder(out: Path) -> None:
    try:
        (out / TEMPLATE_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise SmaltiError(f"{out}: cannot be created ({fault.strerror}).", "Choose a folder that can be written to.",
                          "cannot_write") from fault


def _template_file(index: int) -> str:
    return f"{TEMPLATE_FOLDER}/{index + 1:04d}.png"


def _write_start(out: Path, inputs: Inputs, fitting: Fitting) -> None:
    """The files that a resume needs."""
    for i, template in enumerate(inputs.templates):
        save_template(template, out / _template_file(i))
    if inputs.background_image is not None:
        write_png(out / inputs.background, inputs.background_image)
    _write_checkpoint(out, inputs, fitting, 0.0)


def _write_checkpoint(out: Path, inputs: Inputs, fitting: Fitting, seconds: float) -> None:
    names = np.array([t.name for t in inputs.templates])
    write_arrays(out / CHECKPOINT, {**fitting.state(), "names": names, "seconds": np.array(seconds)})


def _say_what_was_chosen(inputs: Inputs) -> None:
    logger.info(
        "Canvas %d x %d, %d sprites of %g to %g pixels from %d bitmaps, %d steps, background %s, on %s.", inputs.width,
        inputs.height, inputs.job.count, *(round(s, 1) for s in inputs.size_range), len(inputs.templates), inputs.steps,
        inputs.background, inputs.device)


@contextmanager
def _log_file(folder: Path) -> Iterator[None]:
    """Within, what the engine logs goes to the job's engine.log too."""
    try:
        handler = logging.FileHandler(folder / LOG, encoding="utf-8", delay=True)
    except OSError as fault:
        raise SmaltiError(f"{folder / LOG}: cannot be written ({fault.strerror}).", code="cannot_write") from fault
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk must not end a job by its log
    level = logger.level
    logger.setLevel(min(level, logging.INFO) if level else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(level)


def _work(
    inputs: Inputs, fitting: Fitting, out: Path, listener: Listener, should_stop: Callable[[], bool], spent: float,
) -> Outcome:
    began = time.monotonic()
    first_step = fitting.steps_done
    saved = shown = began
    cancelled = False
    with threads_to_kernels():
        while not fitting.finished:
            if should_stop():
                cancelled = True
                break
            loss = fitting.step()
            now = time.monotonic()
            done, total = fitting.steps_done, fitting.steps
            eta = (now - began) / (done - first_step) * (total - done)
            stage = "fit" if fitting.frames == 1 else f"frame {fitting.frame + 1} of {fitting.frames}"
            listener.progress(stage, done, total, loss, eta)
            if not np.isfinite(loss):
                raise SmaltiError("The fit went astray (the loss is not a number).",
                                  f"Please report this with {out / job_file.FILE_NAME}.", "diverged")
            if now - shown > PREVIEW_SECONDS:
                write_png(out / PREVIEW, picture(_composition(inputs, fitting, last_only=True)))
                listener.preview(out / PREVIEW)
                shown = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS:
                _write_checkpoint(out, inputs, fitting, spent + now - began)
                saved = time.monotonic()
        return _finish(inputs, fitting, out, listener, cancelled, spent, began)


def _finish(
    inputs: Inputs, fitting: Fitting, out: Path, listener: Listener, cancelled: bool, spent: float, began: float,
) -> Outcome:
    """Write the result; the checkpoint goes only when all else is in place."""
    if cancelled:
        _write_checkpoint(out, inputs, fitting, spent + time.monotonic() - began)
    composition = _composition(inputs, fitting)
    psnrs = []
    for frame in range(composition.frames):
        path = out / RENDER if fitting.frames == 1 else out / RENDER_FOLDER / f"{frame + 1:04d}.png"
        path.parent.mkdir(exist_ok=True)
        shown = picture(composition, frame)
        write_png(path, shown)
        psnrs.append(psnr(shown, inputs.goal(frame), composition.header.background == "transparent"))
        listener.progress("render", frame + 1, composition.frames, None, None)
    save_composition(out, composition)
    report: dict[str, Any] = {
        "psnr": round(float(np.mean(psnrs)), 3), "seconds": round(spent + time.monotonic() - began, 3),
        "steps": fitting.steps_done, "sprites": inputs.job.count, "templates": len(inputs.templates),
        "frames": composition.frames, "width": inputs.width, "height": inputs.height, "device": inputs.device,
        "background": inputs.background, "smallest": round(inputs.size_range[0], 2),
        "largest": round(inputs.size_range[1], 2), "peak_memory_mb": peak_memory_mb(), "cancelled": cancelled,
        "engine_version": VERSION}
    if composition.frames > 1:
        report["psnr_frames"] = [round(p, 3) for p in psnrs]
    text = json.dumps(report, indent=1, allow_nan=False)
    write_atomic(out / REPORT, lambda file: file.write(text.encode() + b"\n"))
    (out / PREVIEW).unlink(missing_ok=True)
    if not cancelled:
        (out / CHECKPOINT).unlink(missing_ok=True)
    logger.info("%s after %d steps: %.2f dB.", "Stopped" if cancelled else "Done", report["steps"], report["psnr"])
    return Outcome(out, report, cancelled)


def _composition(inputs: Inputs, fitting: Fitting, last_only: bool = False) -> Composition:
    arrays = fitting.result()
    if last_only:
        arrays = {name: a if name == "template" else a[-1:] for name, a in arrays.items()}
    return compose(inputs, arrays)


def compose(inputs: Inputs, arrays: dict[str, NDArray[Any]]) -> Composition:
    """The composition of fitted arrays (see `smalti.bridge.composition`)."""
    header = Header(
        width=inputs.width, height=inputs.height, sprites=len(arrays["template"]), frames=len(arrays["x"]),
        blend_space=inputs.job.blend_space, colour_mix=inputs.job.colour_mix, background=inputs.background,
        frame_rate=inputs.job.frame_rate, templates=tuple(_entry(i, t) for i, t in enumerate(inputs.templates)),
        engine_version=VERSION)
    return Composition(header, inputs.templates, **arrays, background_image=inputs.background_image)


def _entry(index: int, template: Template) -> TemplateFile:
    return TemplateFile(template.name, _template_file(index), template.width, template.height)


def psnr(shown: NDArray[np.uint8], goal: NDArray[np.float32], transparent: bool) -> float:
    """Peak signal-to-noise ratio in dB, peak 1, at most 100.

    Args:
        shown: [H, W, 4] uint8 straight sRGB, as in render.png.
        goal: [H, W, 4] premultiplied sRGB.
        transparent: compare premultiplied RGBA, four channels; else RGB, three channels.
    """
    found = premultiply(shown)
    channels = 4 if transparent else 3
    error = float(np.mean((found[..., :channels].astype(np.float64) - goal[..., :channels]) ** 2))
    return float(min(100.0, -10 * np.log10(max(error, 1e-10))))


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in MiB since it started; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _damaged(path: Path, fault: Exception) -> SmaltiError:
    return SmaltiError(f"{path}: does not fit its job ({fault}).", "Start the job anew.", "bad_checkpoint")


__all__ = ["Composition", "Listener", "Outcome", "load_composition", "resume_job", "run_job"]
