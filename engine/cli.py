# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. Exit status 0; 2 with one clear line on stderr for what a user can put right; 130 after Ctrl-C."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_SIZE, JobSpec
from smalti.bridge.version import VERSION

from .export import FORMATS
from .faults import explained

if TYPE_CHECKING:
    from .run import Listener, Outcome

logger = logging.getLogger("smalti")

BAD_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "worker":
        from . import worker

        return worker.main()
    _make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("smalti: %(message)s"))
    handler.setLevel(logging.INFO if options.verbose else logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # whoever read stdout has left, which is no fault
    except Exception as fault:
        known = explained(fault)
        if known.code == "internal":
            if options.verbose:
                raise
            known.hint = "This is a fault in Smalti: run it again with --verbose and report what it says."
        print(f"smalti: {' '.join(str(known).splitlines())}", file=sys.stderr)
        return BAD_INPUT
    finally:
        logger.removeHandler(handler)
        try:
            sys.stdout.flush()
        except OSError:  # told already: the interpreter must not trip over it again as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _make_streams_safe() -> None:
    """Let no closed stream, and no path that a stream's encoding does not know, end a command that did its work."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (it stays as it is)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"smalti: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="say what is chosen and done")
    parser = _Parser(prog="smalti", description="Rebuild a picture or frames out of your own bitmaps, as layers.")
    parser.add_argument("--version", action="version", version=f"smalti {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser(
        "fit",
        parents=[common],
        help="start a job",
        description="Rebuild TARGET out of the bitmaps of a folder, into a new job folder.",
    )
    fit.set_defaults(run=_fit)
    fit.add_argument("target", metavar="TARGET", help="an image, or a folder of frames")
    fit.add_argument("--primitives", required=True, metavar="FOLDER", help="a folder of bitmaps, or one bitmap")
    fit.add_argument("--out", required=True, metavar="JOB", type=Path, help="the job folder to create")
    fit.add_argument("--overwrite", action="store_true", help="replace the job that is in JOB")
    _add_settings(fit)

    resume = commands.add_parser("resume", parents=[common], help="go on with an interrupted job")
    resume.set_defaults(run=_resume)
    resume.add_argument("job", metavar="JOB", type=Path, help="its job folder")

    render = commands.add_parser(
        "render",
        parents=[common],
        help="draw a finished job at any size",
        description="Draw the composition again from the original bitmaps.",
    )
    render.set_defaults(run=_render)
    render.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    render.add_argument("--size", type=int, metavar="PX", help="longer side in pixels (default: that of the fit)")
    render.add_argument("--frame", type=int, default=1, metavar="K", help="which frame, from 1 (default: 1)")
    render.add_argument("--out", type=Path, metavar="FILE", help="PNG to write (default: JOB/render-SIZE.png)")

    export = commands.add_parser("export", parents=[common], help="write a hand-off file of a finished job")
    export.set_defaults(run=_export)
    export.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    for name, form in FORMATS.items():
        export.add_argument(f"--{name}", dest="formats", action="append_const", const=name, help=form.title)
    export.add_argument("--frame", type=int, default=1, metavar="K", help="which frame, from 1 (default: 1)")
    export.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: the usual name in JOB)")

    doctor = commands.add_parser("doctor", parents=[common], help="what this machine can do, and what is missing")
    doctor.set_defaults(run=_doctor)
    commands.add_parser("worker", parents=[common], help="serve Blender over stdin and stdout (JSON lines)")
    return parser


def _add_settings(fit: argparse.ArgumentParser) -> None:
    """One option for each setting of `JobSpec`; an option that is not given leaves the setting's own default."""

    def option(flag: str, kind: Callable[[str], Any], metavar: str, help: str, **more: Any) -> None:
        dest = more.pop("dest", flag.strip("-").replace("-", "_"))
        fit.add_argument(flag, type=kind, metavar=metavar, help=help, dest=dest, default=None, **more)

    option("--count", int, "N", "number of sprites (default: 1000)")
    option("--size", int, "PX", f"longer side of the canvas, 16 to {MAX_SIZE} (default: the target's, at most 1024)")
    option("--steps", int, "K", "gradient steps (default: from the count)")
    option("--mix", float, "M", "0 tints the bitmaps, 1 keeps their own colours (default: 0)", dest="colour_mix")
    fit.add_argument(
        "--mask",
        choices=["auto", "alpha", "background", "luminance", "none"],
        default=None,
        help="where a bitmap's transparency comes from (default: auto: its own, or a plain background is removed)",
    )
    fit.add_argument("--lock-rotation", action="store_true", default=None, help="keep every bitmap upright")
    fit.add_argument("--lock-scale", action="store_true", default=None, help="keep every sprite at its first size")
    option("--min-size", float, "PX", "smallest longer side of a sprite on the canvas")
    option("--max-size", float, "PX", "largest longer side of a sprite on the canvas")
    option("--alpha-max", float, "A", "largest opacity of a sprite (default: 1)")
    option("--background", str, "B", "auto, transparent, #rrggbb, or an image (default: auto)")
    fit.add_argument(
        "--blend-space",
        choices=["srgb", "linear"],
        default=None,
        help="composite as image editors do (srgb, the default) or as renderers do (linear)",
    )
    option("--target-mask", str, "FILE", "grey image: white is rebuilt, black stays empty")
    option("--frame-steps", int, "K", "gradient steps of each later frame (default: from --steps)")
    option("--frame-rate", float, "FPS", "frames per second of the result (default: 24)")
    option("--seed", int, "S", "seed of every random choice (default: 0)")
    option("--device", str, "D", "auto, cpu or reference (default: auto)")


def _fit(options: argparse.Namespace) -> int:
    given = {f.name: getattr(options, f.name, None) for f in fields(JobSpec)}
    job = JobSpec(**{name: value for name, value in given.items() if value is not None})
    if job.device not in ("auto", "cpu", "cuda", "reference"):
        raise SmaltiError(f"--device is {job.device!r}, but must be auto, cpu, cuda or reference.", code="bad_setting")
    job.checked()
    from .run import run_job

    return _tell(
        _watched(
            lambda listener, stop: run_job(
                job, options.out, overwrite=options.overwrite, listener=listener, should_stop=stop
            )
        )
    )


def _resume(options: argparse.Namespace) -> int:
    from .run import resume_job

    return _tell(_watched(lambda listener, stop: resume_job(options.job, listener=listener, should_stop=stop)))


def _tell(outcome: Outcome) -> int:
    report = outcome.report
    print(
        f"{outcome.folder}: {report['sprites']} sprites, {report['steps']} steps, {report['psnr']:.2f} dB, "
        f"{report['seconds']:.1f} s"
    )
    if outcome.cancelled:
        print(f"smalti: stopped; the best so far is kept. Go on with: smalti resume {outcome.folder}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _watched(work: Callable[[Listener, Callable[[], bool]], Outcome]) -> Outcome:
    """Do `work` with a progress bar on a terminal, and Ctrl-C as a request to stop in good order (twice: at once)."""
    from tqdm import tqdm

    stop = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    class Bar:
        def __init__(self) -> None:
            # disable=None: no bar where stderr is no terminal.
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

    listener = Bar()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        return work(listener, stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
        listener.bar.close()


def _render(options: argparse.Namespace) -> int:
    from .composition import load_composition
    from .drawing import MAX_SIZE as LARGEST
    from .drawing import picture
    from .images import write_png

    composition = load_composition(options.job)
    if options.size is not None and not 1 <= options.size <= LARGEST:
        raise SmaltiError(f"--size is {options.size}, but must be from 1 to {LARGEST:,} pixels.", code="bad_setting")
    size = options.size or max(composition.header.width, composition.header.height)
    frame = _frame(options.frame, composition.frames)
    name = f"render-{size}.png" if composition.frames == 1 else f"render-{size}-{frame + 1:04d}.png"
    path: Path = options.out or options.job / name
    write_png(path, picture(composition, frame, size))
    print(path)
    return 0


def _export(options: argparse.Namespace) -> int:
    from .composition import load_composition
    from .export import export

    if not options.formats:
        raise SmaltiError(
            "export needs to know what to write.", f"Add {' or '.join(f'--{n}' for n in FORMATS)}.", "bad_setting"
        )
    if options.out is not None and len(options.formats) > 1:
        raise SmaltiError(
            "--out names one file, but several formats are asked for.", "Export one at a time.", "bad_setting"
        )
    frame = _frame(options.frame, load_composition(options.job).frames)
    for name in options.formats:
        print(export(options.job, name, options.out, frame))
    return 0


def _frame(asked: int, frames: int) -> int:
    if not 1 <= asked <= frames:
        raise SmaltiError(f"--frame is {asked}, but the job has frames 1 to {frames}.", code="bad_setting")
    return asked - 1


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import checks

    good = True
    for check in checks():
        print(f"{'ok     ' if check.good else 'MISSING'} {check.name}: {check.found}")
        if check.hint:
            print(f"        {check.hint}")
        good = good and check.good
    return 0 if good else 1
