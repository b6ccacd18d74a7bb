# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job, from what was asked to its finished folder: read, create, fit, keep, finish, resume."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.bridge import composition as contract
from smalti.bridge import job as job_file
from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import OPTIONAL_PATHS, JobSpec
from smalti.bridge.version import VERSION

from ..composition import Composition, load_composition, read_arrays, save_composition, write_arrays
from ..composition.render import picture
from ..cpu import threads_to_kernels
from ..files.atomic import write_atomic
from ..files.images import premultiply, write_png
from ..fitting.fit import Fit
from ..templates import Template, read_template, save_template
from .fingerprints import Sources
from .inputs import Inputs, frames_of, read_inputs
from .lock import held

logger = logging.getLogger("smalti")

CHECKPOINT = "checkpoint.npz"
PREVIEW = "preview.png"
RENDER = "render.png"
RENDER_FOLDER = "render"
TEMPLATE_FOLDER = "templates"
REPORT = "report.json"
LOG = "engine.log"

CHECKPOINT_SECONDS = 5.0
LOOK_SECONDS = 0.05
"""Between two looks at the loss."""
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
    """A job folder with a valid composition. `report`: what report.json says; `cancelled`: whether it was cut short."""

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
        should_stop: asked after every step; True ends the fit and keeps the best so far as a valid job.

    Raises:
        SmaltiError: bad input or output. Before the first step nothing is left behind; after it, the checkpoint stays.
    """
    job = absolute(job.checked())
    _check_free(out, overwrite, job)
    inputs = read_inputs(job)
    with _new_folder(out), _at_work(out) as log:
        _check_free(out, overwrite, job)  # again: another process may have been faster
        try:
            clear(out)
            log.truncate(0)
            _say_what_was_chosen(inputs)
            sources = Sources(job, inputs.frames)
            with threads_to_kernels():
                fitting = inputs.fitting()
            _write_start(out, inputs, fitting, sources)
            job_file.write_job(out / job_file.FILE_NAME, job)
        except BaseException:
            with suppress(SmaltiError):
                clear(out)
            raise
        return _work(inputs, fitting, sources, out, listener or Silent(), should_stop, spent=0.0)


def resume_job(
    out: Path,
    *,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Go on with the job in the folder `out` from its last checkpoint, to the same result as without the interruption.

    Raises:
        SmaltiError: there is no job, it is finished, or a file that it needs is missing, damaged, or another than the
            one that it began with.
    """
    path = out / CHECKPOINT
    if not (out / job_file.FILE_NAME).is_file():
        raise SmaltiError(f"{out}: holds no Smalti job.", "Choose the output folder of an interrupted job.", "no_job")
    job = job_file.read_job(out / job_file.FILE_NAME)
    with _at_work(out):
        if not path.is_file():
            if (out / contract.FILE_NAME).is_file():
                raise SmaltiError(f"{out}: this job is finished, so there is nothing to resume.", code="job_finished")
            raise SmaltiError(f"{path}: is missing.", "Start the job anew.", "bad_checkpoint")
        _remove_leftovers(out)
        state = read_arrays(path)
        try:
            names = [str(name) for name in state["names"]]
            spent = float(state["seconds"])
            shares = [int(share) for share in state["shares"]] if job.regions else None
            if shares is not None and (len(shares), sum(shares)) != (len(job.regions) + bool(job.count), len(names)):
                raise ValueError("it has other regions")
            began_with = [*state["canvas"].tolist(), str(state["background"])]
            sources = Sources(job, frames_of(Path(job.target)))
            sources.check(state)
        except (KeyError, TypeError, ValueError) as fault:
            raise _damaged(path, fault) from fault
        templates = [read_template(out / _template_file(i), name) for i, name in enumerate(names)]
        inputs = read_inputs(job, templates, shares)
        if began_with != [inputs.width, inputs.height, inputs.background]:
            raise SmaltiError(
                f"{job.target}: is not the picture that the job began with, or a setting was changed.",
                "Restore it, or start the job anew.",
                "target_changed",
            )
        with threads_to_kernels():
            fitting = inputs.fitting()
        try:
            fitting.restore(state)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as fault:
            raise _damaged(path, fault) from fault
        logger.info("Resumed at step %d of %d.", fitting.steps_done, fitting.steps)
        return _work(inputs, fitting, sources, out, listener or Silent(), should_stop, spent)


def absolute(job: JobSpec) -> JobSpec:
    """The job with absolute paths, so that it means the same from every folder."""

    def full(path: str) -> str:
        return str(Path(path).absolute())

    others: dict[str, Any] = {
        n: full(path) for n in ("primitives", *OPTIONAL_PATHS) if (path := getattr(job, n)) is not None
    }
    return replace(
        job,
        target=full(job.target),
        background=full(job.background) if job.background_is_file else job.background,
        regions=tuple(
            replace(r, mask=full(r.mask), primitives=None if r.primitives is None else full(r.primitives))
            for r in job.regions
        ),
        **others,
    )


def clear(folder: Path) -> None:
    """Remove a job's own files from its folder, but for its log, and nothing else.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    try:
        for name in (
            job_file.FILE_NAME,
            contract.FILE_NAME,
            contract.ARRAYS_NAME,
            CHECKPOINT,
            PREVIEW,
            RENDER,
            REPORT,
            "background.png",
            "layers.psd",
        ):
            (folder / name).unlink(missing_ok=True)
        _remove_leftovers(folder)
        for sub in (TEMPLATE_FOLDER, RENDER_FOLDER):
            if (folder / sub).is_dir() and not (folder / sub).is_symlink():
                for file in (folder / sub).glob("[0-9]*.png"):
                    file.unlink()
                if not any((folder / sub).iterdir()):
                    (folder / sub).rmdir()
    except OSError as fault:
        raise SmaltiError(
            f"{fault.filename}: cannot be removed ({fault.strerror}).", "Choose another folder.", "cannot_write"
        ) from fault


def _remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of a process that was killed while it wrote."""
    for place in (folder, folder / TEMPLATE_FOLDER, folder / RENDER_FOLDER):
        for pattern in (".smalti-*.tmp", ".*.json.new"):
            for file in place.glob(pattern):
                file.unlink(missing_ok=True)


def _check_free(out: Path, overwrite: bool, job: JobSpec) -> None:
    """See that `out` can become the folder of `job`: it is absent, empty, or holds a job that may be replaced."""
    try:
        files = {file.name for file in out.iterdir()} if out.exists() else set()
    except NotADirectoryError as fault:
        raise SmaltiError(
            f"{out}: the output folder is a file.", "Choose another folder.", "output_not_folder"
        ) from fault
    except OSError as fault:
        raise SmaltiError(
            f"{out}: cannot be read ({fault.strerror}).", "Choose another folder.", "cannot_write"
        ) from fault
    if job_file.FILE_NAME in files and not overwrite:
        raise SmaltiError(
            f"{out}: holds another job.", "Choose another folder, resume it, or overwrite it.", "output_holds_job"
        )
    if job_file.FILE_NAME not in files and files - {LOG}:
        raise SmaltiError(
            f"{out}: is not empty.", "Choose an empty folder, or one that does not exist yet.", "output_not_empty"
        )
    inside = os.path.join(os.path.realpath(out), "")
    for path in job.paths.values():
        if os.path.join(os.path.realpath(path), "").startswith(inside):
            raise SmaltiError(
                f"{path}: lies in the output folder, where the new job would replace it.",
                "Choose another output folder.",
                "input_in_output",
            )


@contextmanager
def _new_folder(out: Path) -> Iterator[None]:
    """Within, `out` exists. Where the body fails, those folders that are new and empty go again."""
    new: list[Path] = []
    try:
        new += [folder for folder in (out, *out.parents) if not folder.exists()]
        _make_folder(out)
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise SmaltiError(
            f"{folder}: cannot be created ({fault.strerror}).",
            "Choose a folder that can be written to.",
            "cannot_write",
        ) from fault


def _template_file(index: int) -> str:
    return f"{TEMPLATE_FOLDER}/{index + 1:04d}.png"


def _write_start(out: Path, inputs: Inputs, fitting: Fit, sources: Sources) -> None:
    """The files that a resume needs."""
    _make_folder(out / TEMPLATE_FOLDER)
    for i, template in enumerate(inputs.templates):
        save_template(template, out / _template_file(i))
    if inputs.background_image is not None:
        write_png(out / inputs.background, inputs.background_image)
    _write_checkpoint(out, inputs, fitting, sources, 0.0)


def _write_checkpoint(out: Path, inputs: Inputs, fitting: Fit, sources: Sources, seconds: float) -> None:
    sources.read(fitting.frame)
    names = np.array([t.name for t in inputs.templates])
    write_arrays(
        out / CHECKPOINT,
        {
            **fitting.state(),
            **sources.state(),
            "names": names,
            "shares": np.array([len(group.templates) for group in inputs.groups]),
            "seconds": np.array(seconds),
            "background": np.array(inputs.background),
            "canvas": np.array([inputs.width, inputs.height]),
        },
    )


def _say_what_was_chosen(inputs: Inputs) -> None:
    logger.info(
        "Canvas %d x %d, %d sprites of %g to %g pixels from %d bitmaps, %d steps, background %s, on %s.",
        inputs.width,
        inputs.height,
        inputs.count,
        *(round(s, 1) for s in inputs.size_range),
        len(inputs.templates),
        inputs.steps,
        inputs.background,
        inputs.device,
    )
    for number, group in enumerate(inputs.regions, 1):
        sizes = (round(side, 1) for side in group.size_range)
        logger.info("Region %d: %d sprites of %g to %g pixels.", number, group.count, *sizes)


@contextmanager
def _at_work(folder: Path) -> Iterator[IO[str]]:
    """Within, this process alone works in the job folder, and what the engine logs goes to its engine.log too.

    Raises:
        SmaltiError: code ``"job_busy"`` where another is at work there, or ``"cannot_write"``.
    """
    path = folder / LOG
    try:
        log = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (its end is below)
    except OSError as fault:
        raise SmaltiError(f"{path}: cannot be written ({fault.strerror}).", code="cannot_write") from fault
    if not held(log):
        log.close()
        raise SmaltiError(
            f"{folder}: another Smalti is at work on this job.", "Wait until it is done, or stop it.", "job_busy"
        )
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk must not end a job by its log
    level = logger.level
    logger.setLevel(min(level, logging.INFO) if level else logging.INFO)
    logger.addHandler(handler)
    try:
        yield log
    except Exception:
        with suppress(OSError):
            traceback.print_exc(file=log)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with suppress(OSError):
            log.close()
        with suppress(OSError):
            if not (folder / job_file.FILE_NAME).exists():  # the job never began
                path.unlink()


def _work(
    inputs: Inputs,
    fitting: Fit,
    sources: Sources,
    out: Path,
    listener: Listener,
    should_stop: Callable[[], bool],
    spent: float,
) -> Outcome:
    began = time.monotonic()
    first_step = fitting.steps_done
    saved = shown = began
    looked, loss = 0.0, math.nan
    cancelled = False
    with threads_to_kernels():
        while not fitting.finished:
            if should_stop():
                cancelled = True
                break
            last = fitting.step()
            sources.read(fitting.frame)
            now = time.monotonic()
            if now - looked > LOOK_SECONDS or fitting.finished:  # looking waits for a GPU
                looked, loss = now, float(last)
            done, total = fitting.steps_done, fitting.steps
            eta = (now - began) / (done - first_step) * (total - done)
            stage = "fit" if fitting.frames == 1 else f"frame {fitting.frame + 1} of {fitting.frames}"
            listener.progress(stage, done, total, loss, eta)
            if not np.isfinite(loss):
                raise SmaltiError(
                    "The fit went astray (the loss is not a number).",
                    f"Please report this with {out / job_file.FILE_NAME}.",
                    "diverged",
                )
            if now - shown > PREVIEW_SECONDS:
                write_png(out / PREVIEW, picture(_composition(inputs, fitting, last_only=True)))
                listener.preview(out / PREVIEW)
                shown = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS:
                _write_checkpoint(out, inputs, fitting, sources, spent + now - began)
                saved = time.monotonic()
        return _finish(inputs, fitting, sources, out, listener, cancelled, spent, began)


def _finish(
    inputs: Inputs,
    fitting: Fit,
    sources: Sources,
    out: Path,
    listener: Listener,
    cancelled: bool,
    spent: float,
    began: float,
) -> Outcome:
    """Write the result; the checkpoint goes only when all else is in place."""
    if cancelled:
        _write_checkpoint(out, inputs, fitting, sources, spent + time.monotonic() - began)
    composition = _composition(inputs, fitting)
    psnrs = []
    for frame in range(composition.frames):
        path = out / RENDER if fitting.frames == 1 else out / RENDER_FOLDER / f"{frame + 1:04d}.png"
        _make_folder(path.parent)
        shown = picture(composition, frame)
        write_png(path, shown)
        psnrs.append(psnr(shown, inputs.goal(frame), composition.header.background == "transparent"))
        listener.progress("render", frame + 1, composition.frames, None, None)
    save_composition(out, composition)
    report: dict[str, Any] = {
        "psnr": round(float(np.mean(psnrs)), 3),
        "seconds": round(spent + time.monotonic() - began, 3),
        "steps": fitting.steps_done,
        "sprites": inputs.count,
        "templates": len(inputs.templates),
        "frames": composition.frames,
        "width": inputs.width,
        "height": inputs.height,
        "device": inputs.device,
        "background": inputs.background,
        "smallest": round(inputs.size_range[0], 2),
        "largest": round(inputs.size_range[1], 2),
        "peak_memory_mb": peak_memory_mb(),
        "cancelled": cancelled,
        "engine_version": VERSION,
    }
    if inputs.regions:
        report["regions"] = [
            {"sprites": g.count, "smallest": round(g.size_range[0], 2), "largest": round(g.size_range[1], 2)}
            for g in inputs.regions
        ]
    if composition.frames > 1:
        report["psnr_frames"] = [round(p, 3) for p in psnrs]
    report |= _reached(fitting)
    text = json.dumps(report, indent=1, allow_nan=False)
    write_atomic(out / REPORT, lambda file: file.write(text.encode() + b"\n"))
    (out / PREVIEW).unlink(missing_ok=True)
    if not cancelled:
        (out / CHECKPOINT).unlink(missing_ok=True)
    logger.info("%s after %d steps: %.2f dB.", "Stopped" if cancelled else "Done", report["steps"], report["psnr"])
    return Outcome(out, report, cancelled)


def _reached(fitting: Fit) -> dict[str, Any]:
    """What the report says of limits that are no guarantee; says where sprites stay hidden."""
    frames = fitting.report()
    if not frames:
        return {}
    rounded = {name: [round(frame[name], 4) for frame in frames] for name in frames[0]}
    if hidden := max(rounded.get("hidden", [0])):
        logger.warning(
            "%d sprites could not be shown as min_visibility asks: choose fewer, smaller ones, or a lower value.",
            hidden,
        )
    return {name: values[0] if len(values) == 1 else values for name, values in rounded.items()}


def _composition(inputs: Inputs, fitting: Fit, last_only: bool = False) -> Composition:
    arrays = fitting.result()
    if last_only:
        arrays = {name: a if name == "template" else a[-1:] for name, a in arrays.items()}
    return compose(inputs, arrays)


def compose(inputs: Inputs, arrays: dict[str, NDArray[Any]]) -> Composition:
    """The composition of fitted arrays (see `smalti.bridge.composition`)."""
    header = Header(
        width=inputs.width,
        height=inputs.height,
        sprites=len(arrays["template"]),
        frames=len(arrays["x"]),
        blend_space=inputs.job.blend_space,
        colour_mix=inputs.job.colour_mix,
        background=inputs.background,
        frame_rate=inputs.job.frame_rate,
        templates=tuple(_entry(i, t) for i, t in enumerate(inputs.templates)),
        engine_version=VERSION,
    )
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
