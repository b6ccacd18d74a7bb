# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti bench`` and ``smalti bench circles``."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_COUNT, MAX_SIZE

from .commands import Commands, add_verbose, check_ending, check_folder, check_range


def add(commands: Commands) -> None:
    """Add the command."""
    bench = commands.add(
        "bench",
        _bench,
        "speed of each back end on this machine",
        "Time the passes and the steps of random scenes: by default a table and how time grows, in about a "
        "minute on an idle machine. Any of --sprites, --size, --half-size, --mix and --threads asks for one case.",
        epilog="The scene: sprites at random places and angles, half-sizes spread evenly over 0.3 to 1.7 times the "
        "mean, opacities from 0.3 to 0.9, four soft discs of 64 texels, an opaque background. Times are medians of "
        "several runs. forward and backward: the passes alone; step: a whole step of the optimiser; pairs/s: pixels "
        "under a sprite's rectangle, summed over the sprites, per second of both passes; memory: what both passes, or "
        "one step if that is more, take beyond their inputs and outputs, from the peak of the resident memory of a "
        "process of its own (Linux only). The reference back end is slow by design, and only timed on a tiny scene.",
    )
    bench.add_argument("--sprites", type=int, metavar="N", help="number of sprites (default: 1000)")
    bench.add_argument("--size", type=int, metavar="PX", help="side of the canvas (default: 512)")
    bench.add_argument("--half-size", type=float, metavar="R", help="mean half-size of a sprite, pixels (default: 25)")
    bench.add_argument("--mix", type=float, metavar="M", help="0 tints the bitmaps, 1 keeps their colors (default: 0)")
    bench.add_argument("--threads", type=int, metavar="T", help="threads (default: one, and all)")
    bench.add_argument("--plot", type=Path, metavar="FILE", help="PNG to draw the default table in")
    bench.add_argument("--json", type=Path, metavar="FILE", help="file for the numbers, a list of objects")

    _add_circles(bench)


def _add_circles(bench: argparse.ArgumentParser) -> None:
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
    add_verbose(circles, default=absent)


_ONE_CASE = ("sprites", "size", "half_size", "mix", "threads")


def _bench(options: argparse.Namespace) -> int:
    from ..bench import report

    check_folder(options.json, options.plot)
    check_ending(".png", options.plot, "pictures are written as PNG")
    given = {name: getattr(options, name) for name in _ONE_CASE if getattr(options, name) is not None}
    if not given:
        rows = report.run(report.all_cases(), options.json)
        print(f"\n{report.growth_text(rows)}")
        if options.plot is not None:
            from ..bench.plot import draw_plot

            draw_plot(rows, options.plot)
        return 0
    if options.plot is not None:
        raise SmaltiError(
            "--plot shows the whole table, but the other options time one case.",
            "Leave one or the other out.",
            "bad_setting",
        )
    check_range("--sprites", given.setdefault("sprites", 1000), 1, MAX_COUNT)
    check_range("--size", given.setdefault("size", 512), 16, MAX_SIZE)
    check_range("--half-size", given.setdefault("half_size", 25.0), 0.1, MAX_SIZE)
    check_range("--mix", given.setdefault("mix", 0.0), 0, 1)
    threads = given.pop("threads", None)
    if threads is not None:
        check_range("--threads", threads, 1, 1024)
    report.run(report.one_case(**given, threads=report.thread_counts() if threads is None else [threads]), options.json)
    return 0


def _circles(options: argparse.Namespace) -> int:
    from ..bench import circles
    from ..job.device import resolve_device

    unused = [name for name in (*_ONE_CASE, "plot") if getattr(options, name) is not None]
    if unused:
        flag = f"--{unused[0].replace('_', '-')}"
        raise SmaltiError(f"{flag} has no meaning for circles.", "Leave it out.", "bad_setting")
    check_folder(options.json)
    steps = circles.STEPS if options.steps is None else options.steps
    circles.run(options.images, options.out, steps, options.seed, options.json, resolve_device(options.device))
    return 0
