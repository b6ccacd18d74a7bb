# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti render`` and ``export``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import JOB
from smalti.bridge.formats import FILMS, FORMATS
from smalti.bridge.job_file import read_job
from smalti.bridge.lengths import MILLIMETERS, millimeters

from .commands import Commands, check_ending, check_range

if TYPE_CHECKING:
    from ..composition import Composition


def add(commands: Commands) -> None:
    """Add the commands."""
    render = commands.add(
        "render", _render, "draw a finished job at any size", "Draw the composition again from the original bitmaps."
    )
    render.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    _add_size(render)
    _add_frame(render)
    _add_shutter(render)
    render.add_argument("--out", type=Path, metavar="FILE", help="PNG to write (default: JOB/render-SIZE.png)")

    export = commands.add("export", _export, "write a finished job as a layered file or as a film")
    export.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    for name, form in (FORMATS | FILMS).items():
        export.add_argument(f"--{name}", dest="formats", action="append_const", const=name, help=form.title)
    _add_size(export)
    _add_frame(export)
    _add_shutter(export)
    export.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file to write (default: the usual name in JOB)",
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, metavar="PX", help="longer side in pixels (default: that of the fit)")
    parser.add_argument("--dpi", type=float, metavar="X", help="as large as the job's print width at this resolution")


def _add_frame(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frame", type=int, metavar="K", help="which frame, from 1 (default: 1)")


def _add_shutter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shutter",
        type=float,
        default=0.0,
        metavar="X",
        help="blur what moves: how long the shutter is open, of the time between frames (default: 0, at most 1)",
    )


def _render(options: argparse.Namespace) -> int:
    check_ending(".png", options.out, "pictures are written as PNG")
    from ..composition import load_composition
    from ..composition.shutter import exposed_strips
    from ..files.images import write_png

    check_range("--shutter", options.shutter, 0, 1)
    composition = load_composition(options.job)
    requested = _size(options, composition)
    size = requested or max(composition.header.width, composition.header.height)
    frame = _frame(options.frame, composition.frames)
    name = f"render-{size}.png" if composition.frames == 1 else f"render-{size}-{frame + 1:04d}.png"
    path: Path = options.out or options.job / name
    write_png(path, exposed_strips(composition, frame, size, options.shutter))
    print(path)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..composition import load_composition
    from ..export import export_job

    formats = FORMATS | FILMS
    if not options.formats:
        raise SmaltiError(
            "export needs to know what to write.", f"Add {' or '.join(f'--{n}' for n in formats)}.", "bad_setting"
        )
    if options.out is not None and len(options.formats) > 1:
        raise SmaltiError(
            "--out names one file, but there are several formats.", "Export one at a time.", "bad_setting"
        )
    for name in options.formats:
        check_ending(Path(formats[name].file_name).suffix, options.out, f"--{name} writes another kind of file")
        _check_fits(name, options)
    composition = load_composition(options.job)
    frame, size = _frame(options.frame, composition.frames), _size(options, composition)
    for name in options.formats:
        with _Bar() as bar:
            path = export_job(options.job, name, options.out, frame, size, options.shutter, bar.show)
        print(path)
    return 0


class _Bar:
    """A bar that shows how many frames of a film are done, where there is a terminal."""

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="frame", disable=None, leave=False, dynamic_ncols=True)
        return self

    def __exit__(self, *fault: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Show it."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _check_fits(name: str, options: argparse.Namespace) -> None:
    """See that --frame is for formats of one frame, and --shutter for films."""
    check_range("--shutter", options.shutter, 0, 1)
    if name in FILMS and options.frame is not None:
        raise SmaltiError(f"--frame chooses one frame, but --{name} writes all.", "Leave it out.", "bad_setting")
    if name not in FILMS and options.shutter:
        raise SmaltiError(
            f"--{name} has a layer for each sprite, which --shutter cannot blur.",
            "Leave it out, or write a picture: smalti render.",
            "bad_setting",
        )


def _size(options: argparse.Namespace, composition: Composition) -> int | None:
    """The longer side that --size or --dpi asks for, pixels; None where neither is given."""
    from ..composition.render import MAX_SIZE

    if options.dpi is None:
        size: int | None = options.size
        return _checked_size(size)
    if options.size is not None:
        raise SmaltiError("--dpi and --size both say how large.", "Leave one out.", "bad_setting")
    printed = read_job(options.job / JOB).print_width
    if printed is None:
        raise SmaltiError(
            f"{options.job}: the job has no print width, which --dpi needs.", "Give --size instead.", "bad_setting"
        )
    header = composition.header
    inches = (millimeters(printed) or 0) / MILLIMETERS["in"]
    longer = inches * options.dpi * max(header.width, header.height) / header.width
    if not 1 <= longer <= MAX_SIZE:
        raise SmaltiError(
            f"--dpi is {options.dpi:g}, which makes {longer:,.0f} pixels, but must make from 1 to {MAX_SIZE:,}.",
            code="bad_setting",
        )
    pixels: int = round(longer)
    return pixels


def _checked_size(size: int | None) -> int | None:
    from ..composition.render import MAX_SIZE

    if size is not None and not 1 <= size <= MAX_SIZE:
        raise SmaltiError(f"--size is {size}, but must be from 1 to {MAX_SIZE:,} pixels.", code="bad_setting")
    return size


def _frame(requested: int | None, frames: int) -> int:
    number = 1 if requested is None else requested
    if not 1 <= number <= frames:
        raise SmaltiError(f"--frame is {number}, but the job has frames 1 to {frames}.", code="bad_setting")
    return number - 1
