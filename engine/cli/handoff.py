# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti render`` and ``export``."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.formats import FORMATS

from .commands import Commands, check_ending


def add(commands: Commands) -> None:
    """Add the commands."""
    render = commands.add(
        "render", _render, "draw a finished job at any size", "Draw the composition again from the original bitmaps."
    )
    render.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    _add_size(render)
    _add_frame(render)
    render.add_argument("--out", type=Path, metavar="FILE", help="PNG to write (default: JOB/render-SIZE.png)")

    export = commands.add("export", _export, "write a hand-off file of a finished job")
    export.add_argument("job", metavar="JOB", type=Path, help="a job folder")
    for name, form in FORMATS.items():
        export.add_argument(f"--{name}", dest="formats", action="append_const", const=name, help=form.title)
    _add_size(export)
    _add_frame(export)
    export.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file to write (default: the usual name in JOB)",
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, metavar="PX", help="longer side in pixels (default: that of the fit)")


def _add_frame(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frame", type=int, default=1, metavar="K", help="which frame, from 1 (default: 1)")


def _render(options: argparse.Namespace) -> int:
    check_ending(".png", options.out, "pictures are written as PNG")
    from ..composition import load_composition
    from ..composition.render import picture_strips
    from ..files.images import write_png

    composition = load_composition(options.job)
    _check_size(options.size)
    size = options.size or max(composition.header.width, composition.header.height)
    frame = _frame(options.frame, composition.frames)
    name = f"render-{size}.png" if composition.frames == 1 else f"render-{size}-{frame + 1:04d}.png"
    path: Path = options.out or options.job / name
    write_png(path, picture_strips(composition, frame, size))
    print(path)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..composition import load_composition
    from ..export import export_job

    if not options.formats:
        raise SmaltiError(
            "export needs to know what to write.", f"Add {' or '.join(f'--{n}' for n in FORMATS)}.", "bad_setting"
        )
    if options.out is not None and len(options.formats) > 1:
        raise SmaltiError(
            "--out names one file, but there are several formats.", "Export one at a time.", "bad_setting"
        )
    for name in options.formats:
        check_ending(Path(FORMATS[name].file_name).suffix, options.out, f"--{name} writes another kind of file")
    frame = _frame(options.frame, load_composition(options.job).frames)
    _check_size(options.size)
    for name in options.formats:
        print(export_job(options.job, name, options.out, frame, options.size))
    return 0


def _check_size(size: int | None) -> None:
    from ..composition.render import MAX_SIZE

    if size is not None and not 1 <= size <= MAX_SIZE:
        raise SmaltiError(f"--size is {size}, but must be from 1 to {MAX_SIZE:,} pixels.", code="bad_setting")


def _frame(number: int, frames: int) -> int:
    if not 1 <= number <= frames:
        raise SmaltiError(f"--frame is {number}, but the job has frames 1 to {frames}.", code="bad_setting")
    return number - 1
