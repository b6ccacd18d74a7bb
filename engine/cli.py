# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. Exit status 0; 2 with one clear line on stderr for what a user can put right; 130 after Ctrl-C."""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_COUNT, MAX_SIZE, JobSpec, Preset
from smalti.bridge.loss import TERMS
from smalti.bridge.version import VERSION

from .errors import explained
from .export import FORMATS
from .palettes import read_palette
from .regions import read_region

if TYPE_CHECKING:
    from .job.run import Listener, Outcome

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
        elif options.command in ("fit", "estimate"):
            known.message = _as_typed(known.message)
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

    def command(
        name: str, run: Callable[[argparse.Namespace], int], help: str, description: str | None = None
    ) -> argparse.ArgumentParser:
        found = commands.add_parser(name, parents=[common], help=help, description=description)
        found.set_defaults(run=run)
        return found

    fit = command(
        "fit",
        _fit,
        "start a job",
        "Rebuild TARGET out of the bitmaps of a folder, or out of letters, into a new job folder.",
    )
    _add_inputs(fit)
    fit.add_argument("--out", required=True, metavar="JOB", type=Path, help="the job folder to create")
    fit.add_argument("--overwrite", action="store_true", help="replace the job that is in JOB")
    _add_settings(fit)

    estimate = command(
        "estimate",
        _estimate,
        "how long a job would take",
        "Say how long `smalti fit` with the same settings would take here: with the given --preset, or with each of "
        "draft, balanced and best. Writes nothing.",
    )
    _add_inputs(estimate)
    _add_settings(estimate)

    resume = command("resume", _resume, "go on with an interrupted job")
    resume.add_argument("job", metavar="JOB", type=Path, help="its job folder")

    render = command(
        "render", _render, "draw a finished job at any size", "Draw the composition again from the original bitmaps."
    )
    render.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    render.add_argument("--size", type=int, metavar="PX", help="longer side in pixels (default: that of the fit)")
    render.add_argument("--frame", type=int, default=1, metavar="K", help="which frame, from 1 (default: 1)")
    render.add_argument("--out", type=Path, metavar="FILE", help="PNG to write (default: JOB/render-SIZE.png)")

    export = command("export", _export, "write a hand-off file of a finished job")
    export.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    for name, form in FORMATS.items():
        export.add_argument(f"--{name}", dest="formats", action="append_const", const=name, help=form.title)
    export.add_argument("--frame", type=int, default=1, metavar="K", help="which frame, from 1 (default: 1)")
    export.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: the usual name in JOB)")

    _add_bench(commands, common)
    command("doctor", _doctor, "what this machine can do, and what is missing")
    commands.add_parser("worker", parents=[common], help="serve Blender over stdin and stdout (JSON lines)")
    return parser


def _add_inputs(fit: argparse.ArgumentParser) -> None:
    """What to rebuild, and what to build with."""
    fit.add_argument("target", metavar="TARGET", help="an image, or a folder of frames")
    fit.add_argument("--primitives", metavar="FOLDER", help="a folder of bitmaps and SVG drawings, or one of them")
    fit.add_argument("--text", metavar="TEXT", help="letters to build with, instead of --primitives or beside it")
    fit.add_argument("--font", metavar="FILE", help="font for --text, TrueType or OpenType (default: a plain one)")
    fit.add_argument(
        "--text-split", choices=["glyphs", "words"], default=None, help="what of --text is a bitmap (default: glyphs)"
    )


def _add_settings(fit: argparse.ArgumentParser) -> None:
    """One option for each setting of `JobSpec`; an option that is not given leaves the setting's own default."""

    def option(flag: str, kind: Callable[[str], Any], metavar: str, help: str, **more: Any) -> None:
        dest = more.pop("dest", flag.strip("-").replace("-", "_"))
        fit.add_argument(flag, type=kind, metavar=metavar, help=help, dest=dest, default=None, **more)

    def flag(name: str, help: str) -> None:
        fit.add_argument(name, action="store_true", default=None, help=help)

    option("--count", int, "N", "number of sprites (default: 1000)")
    option("--size", int, "PX", f"longer side of the canvas, 16 to {MAX_SIZE} (default: the target's, at most 1024)")
    fit.add_argument(
        "--preset",
        choices=get_args(Preset),
        default=None,
        help="draft, balanced (the default) or best; or published: the recipe of DiffBMP, to measure against",
    )
    option("--steps", int, "K", "gradient steps (default: from the count and the preset; published: 100)")
    option("--mix", float, "M", "0 tints the bitmaps, 1 keeps their own colours (default: 0)", dest="colour_mix")
    fit.add_argument(
        "--mask",
        choices=["auto", "alpha", "background", "luminance", "none"],
        default=None,
        help="where a bitmap's transparency comes from (default: auto: its own, or a plain background is removed)",
    )
    flag("--lock-rotation", "keep every bitmap upright")
    flag("--lock-scale", "keep every sprite at its first size")
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
    option("--palette", str, "COLOURS", "tints are among these: #rrggbb,#rrggbb,... or a file (.gpl, or one a line)")
    option("--rotation-steps", int, "N", "sprites turn by multiples of 360 / N degrees; 1: upright")
    option("--keep-in", str, "FILE", "grey image: sprites draw only where it is white")
    option("--keep-out", str, "FILE", "grey image: sprites draw nowhere where it is white")
    flag("--inside-outline", "sprites stay within the outline of a transparent target")
    option("--min-visibility", float, "V", "least share of every sprite that is seen, 0 to 0.9 (default: 0)")
    option("--max-overlap", float, "L", "layers over a point, on average, above which the fit is pushed back")
    option("--even-coverage", float, "W", "weight of as many layers here as there, 0 to 1 (default: 0)")
    fit.add_argument(
        "--region",
        action="append",
        metavar="SETTINGS",
        dest="regions",
        help="a part of the canvas with sprites of its own, beside --count outside of it: mask=FILE,count=N and, as "
        "you like, min=PX, max=PX, primitives=FOLDER, confine (draw nowhere outside), with commas between; several "
        "times for several regions, the lowest first; --count 0 rebuilds the regions alone",
    )
    option("--loss", str, "L", f"what to minimise, a sum such as mse+0.3*ms_ssim of {', '.join(TERMS)} (default: mse)")
    option(
        "--vgg-weights", str, "FILE", "weights of VGG16 as torchvision saves them, for vgg", dest="loss_weights_file"
    )
    option("--weight-map", str, "FILE", "grey image: white matters, black does not")
    option("--detail-weight", float, "W", "how much more busy parts count than flat ones, 0 to 1 (default: 0)")
    option("--frame-steps", int, "K", "gradient steps of each later frame (default: from --steps)")
    option("--frame-rate", float, "FPS", "frames per second of the result (default: 24)")
    option("--seed", int, "S", "seed of every random choice (default: 0)")
    option("--device", str, "D", "auto, cuda, cpu or reference (default: auto)")


def _add_bench(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    bench = commands.add_parser(
        "bench",
        parents=[common],
        help="speed of each back end on this machine",
        description="Time the passes and the steps of random scenes: by default a table and how time grows, in about a "
        "minute on an idle machine. Any of --sprites, --size, --half-size, --mix and --threads asks for one case.",
        epilog="The scene: sprites at random places and angles, half-sizes spread evenly over 0.3 to 1.7 times the "
        "mean, opacities from 0.3 to 0.9, four soft discs of 64 texels, an opaque background. Times are medians of "
        "several runs. forward and backward: the passes alone; step: a whole step of the optimiser; pairs/s: pixels "
        "under a sprite's rectangle, summed over the sprites, per second of both passes; memory: what both passes, or "
        "one step if that is more, take beyond their inputs and outputs, from the peak of the resident memory of a "
        "process of its own (Linux only). The reference back end is slow by design, and only timed on a tiny scene.",
    )
    bench.set_defaults(run=_bench)
    bench.add_argument("--sprites", type=int, metavar="N", help="number of sprites (default: 1000)")
    bench.add_argument("--size", type=int, metavar="PX", help="side of the canvas (default: 512)")
    bench.add_argument("--half-size", type=float, metavar="R", help="mean half-size of a sprite, pixels (default: 25)")
    bench.add_argument("--mix", type=float, metavar="M", help="0 tints the bitmaps, 1 keeps their colours (default: 0)")
    bench.add_argument("--threads", type=int, metavar="T", help="threads (default: one, and all)")
    bench.add_argument("--plot", type=Path, metavar="FILE", help="PNG to draw the default table in")
    bench.add_argument("--json", type=Path, metavar="FILE", help="file for the numbers, a list of objects")

    kinds = bench.add_subparsers(dest="kind", metavar="circles")
    circles = kinds.add_parser(
        "circles",
        help="paint pictures with 2,048 discs, against published figures",
        description="Paint each IMAGE with 2,048 discs on 256 x 256 pixels, as conflictednerd/differentiable-renderer "
        "does, and compare the error with the one published for that image, which is found by its file's name.",
    )
    circles.set_defaults(run=_circles)
    circles.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a picture")
    circles.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="for the pictures (default: here)")
    circles.add_argument("--steps", type=int, metavar="K", help="gradient steps, at most 4096 (default: 1000)")
    circles.add_argument("--seed", type=int, default=0, metavar="S", help="seed of every random choice (default: 0)")
    circles.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda (default: auto)")
    # Not given here, they leave what was given before the word "circles".
    absent = argparse.SUPPRESS
    circles.add_argument("--json", type=Path, default=absent, metavar="FILE", help="file for the figures, likewise")
    circles.add_argument("-v", "--verbose", action="store_true", default=absent, help="say what is chosen and done")


def _job_of(options: argparse.Namespace) -> JobSpec:
    given = {f.name: getattr(options, f.name, None) for f in fields(JobSpec)}
    if given["palette"] is not None:
        given["palette"] = read_palette(given["palette"])
    if given["regions"] is not None:
        given["regions"] = tuple(read_region(region) for region in given["regions"])
    job = JobSpec(**{name: value for name, value in given.items() if value is not None})
    if job.needs_bitmaps and job.primitives is None and job.text is None:
        raise SmaltiError(
            "There is nothing to build with.", "Give --primitives FOLDER, --text TEXT, or both.", "bad_setting"
        )
    if job.device not in ("auto", "cpu", "cuda", "reference"):
        raise SmaltiError(f"--device is {job.device!r}, but must be auto, cpu, cuda or reference.", code="bad_setting")
    if options.text_split is not None and job.text is None:
        rule = "left out where no text is given"
        raise SmaltiError(f"--text-split is {job.text_split!r}, but must be {rule}.", code="bad_setting")
    return job.checked()


_OPTIONS = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(JobSpec) if field.name != "target"} | {
    "colour_mix": "--mix",
    "loss_weights_file": "--vgg-weights",
    "regions": "--region",
}
"""What sets a field of `JobSpec`."""
_OF_REGION = {"min_size": "min", "max_size": "max"}
"""What sets a field of `RegionSpec` where it has another name there."""


def _as_typed(message: str) -> str:
    """A message ``"SETTING is VALUE, but must be RULE."``, with the options that a user typed; any other as it is."""
    name, _, rest = message.partition(" is ")
    field, _, region = name.partition(" of region ")
    names = _OF_REGION if region else _OPTIONS
    if field not in {*_OPTIONS, *_OF_REGION}:
        return message
    value, but, rule = rest.rpartition(", but must be ")
    if but:  # in a rule, names of one word may be plain words
        rule = re.sub(r"\b[a-z]+(_[a-z]+)+\b", lambda found: names.get(found[0], found[0]), rule)
    return f"{name.replace(field, names.get(field, field), 1)} is {value}{but}{rule}"


def _fit(options: argparse.Namespace) -> int:
    job = _job_of(options)
    from .job.run import run_job

    return _tell(
        _watched(
            lambda listener, stop: run_job(
                job, options.out, overwrite=options.overwrite, listener=listener, should_stop=stop
            )
        )
    )


def _estimate(options: argparse.Namespace) -> int:
    job = _job_of(options)
    from .job.estimate import PRESETS, estimates

    for found in estimates(job, PRESETS if options.preset is None else (job.preset,)):
        seconds = found.seconds
        told = (
            f"{seconds / 60:.0f} minutes"
            if seconds > 120
            else f"{seconds:.0f} s"
            if seconds > 10
            else f"{seconds:.1f} s"
        )
        first = f" ({found.first_steps} for the first frame)" if found.steps > found.first_steps else ""
        print(f"{found.preset:10} {found.steps:6} steps{first}   about {told}")
    return 0


def _resume(options: argparse.Namespace) -> int:
    from .job.run import resume_job

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
    _ends_in(".png", options.out, "pictures are written as PNG")
    from .composition import load_composition
    from .composition.render import MAX_SIZE as LARGEST
    from .composition.render import picture
    from .files.images import write_png

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
    from .export import export_job

    if not options.formats:
        raise SmaltiError(
            "export needs to know what to write.", f"Add {' or '.join(f'--{n}' for n in FORMATS)}.", "bad_setting"
        )
    if options.out is not None and len(options.formats) > 1:
        raise SmaltiError(
            "--out names one file, but several formats are asked for.", "Export one at a time.", "bad_setting"
        )
    for name in options.formats:
        _ends_in(Path(FORMATS[name].file_name).suffix, options.out, f"--{name} writes another kind of file")
    frame = _frame(options.frame, load_composition(options.job).frames)
    for name in options.formats:
        print(export_job(options.job, name, options.out, frame))
    return 0


def _frame(asked: int, frames: int) -> int:
    if not 1 <= asked <= frames:
        raise SmaltiError(f"--frame is {asked}, but the job has frames 1 to {frames}.", code="bad_setting")
    return asked - 1


_ONE_CASE = ("sprites", "size", "half_size", "mix", "threads")


def _bench(options: argparse.Namespace) -> int:
    from .bench import report

    _can_write(options.json, options.plot)
    _ends_in(".png", options.plot, "pictures are written as PNG")
    given = {name: getattr(options, name) for name in _ONE_CASE if getattr(options, name) is not None}
    if not given:
        rows = report.run(report.all_cases(), options.json)
        print(f"\n{report.growth_text(rows)}")
        if options.plot is not None:
            from .bench.plot import draw_plot

            draw_plot(rows, options.plot)
        return 0
    if options.plot is not None:
        raise SmaltiError(
            "--plot shows the whole table, but one case is asked for.", "Leave one or the other out.", "bad_setting"
        )
    _within("--sprites", given.setdefault("sprites", 1000), 1, MAX_COUNT)
    _within("--size", given.setdefault("size", 512), 16, MAX_SIZE)
    _within("--half-size", given.setdefault("half_size", 25.0), 0.1, MAX_SIZE)
    _within("--mix", given.setdefault("mix", 0.0), 0, 1)
    threads = given.pop("threads", None)
    if threads is not None:
        _within("--threads", threads, 1, 1024)
    report.run(report.one_case(**given, threads=report.thread_counts() if threads is None else [threads]), options.json)
    return 0


def _circles(options: argparse.Namespace) -> int:
    from .bench import circles
    from .job.device import resolve_device

    unused = [name for name in (*_ONE_CASE, "plot") if getattr(options, name) is not None]
    if unused:
        flag = f"--{unused[0].replace('_', '-')}"
        raise SmaltiError(f"{flag} has no meaning for circles.", "Leave it out.", "bad_setting")
    _can_write(options.json)
    steps = circles.STEPS if options.steps is None else options.steps
    circles.run(options.images, options.out, steps, options.seed, options.json, resolve_device(options.device))
    return 0


def _ends_in(ending: str, path: Path | None, why: str) -> None:
    """Say that a file's name promises another kind of file than the one that is written."""
    if path is not None and path.suffix.lower() != ending:
        raise SmaltiError(f"{path}: {why}.", f"Give a name that ends in {ending}.", "bad_setting")


def _can_write(*files: Path | None) -> None:
    """Say at once, and not after a minute, that a file's folder is missing."""
    for path in files:
        if path is not None and not path.absolute().parent.is_dir():
            raise SmaltiError(f"{path}: its folder does not exist.", "Create it first.", "cannot_write")


def _within(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SmaltiError(f"{flag} is {value:g}, but must be from {low:,} to {high:,}.", code="bad_setting")


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import checks

    good = True
    for check in checks():
        print(f"{'ok     ' if check.good else 'MISSING'} {check.name}: {check.found}")
        if check.hint:
            print(f"        {check.hint}")
        good = good and check.good
    return 0 if good else 1
