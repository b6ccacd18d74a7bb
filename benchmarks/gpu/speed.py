# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that measure: steps, kernels, whole fits, and the memory of many."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from table import ROOT, Line, attribute, multiprocessors, number

FLOAT32_PER_CORE = 2
"""Operations of one core in one cycle: a multiplication and an addition."""
CORES = {7: 64, 8: 128, 9: 128, 10: 128, 12: 128}
"""Float32 cores of a multiprocessor, by the major number of the compute capability (8.0 has 64)."""
OPERATIONS = {"tint": 105, "mixed": 212}
"""Floating-point operations of a step for a pixel and a sprite that covers it, counted in engine/cuda/tile_*.cuh for
one mip level: 39 (75 with the bitmap's colors) front to back, 66 (137) back to front. A fused multiply-add counts as
two; conversions, comparisons, shuffles and the sums over a block do not count."""


def steps(options: argparse.Namespace) -> list[Line]:
    """Time and memory of whole steps, against the limits; and how much of the card's arithmetic they use."""
    from smalti.engine.bench.memory import working_mb_of_gpu
    from smalti.engine.bench.scene import TEXELS, Case, covered_pairs, discs, random_sprites
    from smalti.engine.bench.speed import optimiser_for

    capability = attribute(75), attribute(76)
    cores = 64 if capability == (8, 0) else CORES.get(capability[0], 128)
    clock = attribute(13) * 1e3  # hertz
    peak = multiprocessors() * cores * FLOAT32_PER_CORE * clock
    lines = [Line("float32 peak assumed, TFLOP/s", number(peak / 1e12), "", None)]
    for sprites, size, half, mix, limit in (
        (1_000, 512, 25.0, 0.0, 0.15),
        (1_000, 512, 25.0, 0.5, None),
        (10_000, 2048, 25.0, 0.0, 1.5),
        (10_000, 2048, 25.0, 0.5, None),
        (100_000, 2048, 10.0, 0.0, None),
    ):
        case = Case("cuda", 1, sprites, size, half, mix)
        optimiser = optimiser_for(case)
        for _ in range(20):
            last = optimiser.step()
        float(last)
        times = []
        for _ in range(10):
            began = time.perf_counter()
            for _ in range(20):
                last = optimiser.step()
            float(last)
            times.append((time.perf_counter() - began) * 50)
        ms = statistics.median(times)
        lines += shares(optimiser)
        maps = random_sprites(case).affine(np.full((len(discs()), 2), float(TEXELS)))
        pairs = covered_pairs(maps, size, size)
        share = pairs * OPERATIONS["mixed" if mix else "tint"] / (ms / 1e3) / peak
        what = f"step, {sprites:,} sprites of {half:g} on {size}^2, mix {mix:g}: ms"
        lines.append(Line(what, number(ms), f"{limit}" if limit else "", ms <= limit if limit else None))
        lines.append(Line("  share of the peak, counted operations", f"{100 * share:.1f} %", "", None))
        memory = working_mb_of_gpu(case)
        bound = 100 if (sprites, size) == (10_000, 2048) else None
        lines.append(Line("  working memory, MB", number(memory), f"{bound or ''}", memory < bound if bound else None))
    return lines


def terms(options: argparse.Namespace) -> list[Line]:
    """Time of a step by other losses, and what it is of that by mse."""
    from smalti.engine.bench.scene import Case
    from smalti.engine.bench.speed import optimiser_for
    from smalti.engine.fitting.objective.losses import Objective

    lines = []
    for sprites, size in ((1_000, 512), (10_000, 2048)):
        of_mse = 0.0
        for names in (("mse",), ("l1",), ("oklab",), ("edges",), ("mse", "ssim"), ("mse", "ms_ssim")):
            optimiser = optimiser_for(Case("cuda", 1, sprites, size, 25.0, 0.0))
            optimiser.objective.loss = Objective(tuple((name, 1.0) for name in names)).loss()
            for _ in range(10):
                float(optimiser.step())
            fused: Any = optimiser._fused
            ms = 1e3 * seconds_each(fused._replay, 100)
            of_mse = of_mse or ms
            what = f"graph by {' + '.join(names)}, {sprites:,} on {size}^2: ms"
            lines.append(Line(what, f"{number(ms)} ({ms / of_mse:.2f})", "", None))
    return lines


def shares(optimiser: Any) -> list[Line]:
    """What of a step is the GPU's: the graph alone, and the host's time for submitting it."""
    fused = optimiser._fused
    alone = seconds_each(fused._replay, 200)
    began = time.perf_counter()
    for _ in range(60):
        optimiser.step()
    host = (time.perf_counter() - began) / 60
    fused._settle()
    return [
        Line("  graph alone, us", number(alone * 1e6), "", None),
        Line("  host, us", number(host * 1e6), "", None),
    ]


def seconds_each(replay: Callable[[], None], times: int) -> float:
    """Time of one of many replays of a graph."""
    from smalti.engine.cuda import synchronize

    synchronize()
    began = time.perf_counter()
    for _ in range(times):
        replay()
    synchronize()
    return (time.perf_counter() - began) / times


def launches_of(fused: Any, count: int) -> list[str]:
    """Make the first `count` launches of a step. Returns the names of all."""
    names: list[str] = []
    launch = fused._launcher.launch

    def limited(name: str, *arguments: Any) -> None:
        names.append(name)
        if len(names) <= count:
            launch(name, *arguments)

    with mock.patch.object(fused._launcher, "launch", limited):
        fused._launch_all()
    return names


def kernel_times(options: argparse.Namespace) -> list[Line]:
    """Where a step's time goes: how much longer it takes with each of its launches, in their order."""
    from smalti.engine.bench.scene import Case
    from smalti.engine.bench.speed import optimiser_for

    lines = []
    for sprites, size in ((1_000, 512), (10_000, 2048)):
        optimiser = optimiser_for(Case("cuda", 1, sprites, size, 25.0, 0.0))
        for _ in range(10):
            float(optimiser.step())
        fused: Any = optimiser._fused
        before, names = 0.0, launches_of(fused, 0)
        for count in range(1, len(names) + 1):
            graph = fused._launcher.device.record(partial(launches_of, fused, count))
            seconds = seconds_each(graph.replay, 200)
            what = f"  {sprites:,} on {size}^2: {names[count - 1]}, us"
            lines.append(Line(what, number((seconds - before) * 1e6), "", None))
            before = seconds
    return lines


def bench(options: argparse.Namespace) -> list[Line]:
    """`smalti bench`."""
    from smalti.engine.bench import report

    rows = report.run(report.all_cases(), options.out / "bench.json")
    line = report.line_through(report.linear_rows(rows))
    return [Line("time of a step against covered pairs, r squared", f"{line.r2:.4f}", "0.98", line.r2 > 0.98)]


def fits(options: argparse.Namespace) -> list[Line]:
    """The starry night in flowers, or without --data the lighthouse in leaves; on the CPU too, to compare."""
    from smalti.engine.api import fit
    from smalti.engine.composition.render import picture
    from smalti.engine.files.images import read_image
    from smalti.engine.templates import load_templates

    target, folder = ROOT / "examples" / "target" / "lighthouse.png", ROOT / "examples" / "primitives"
    if options.data is not None:
        target, folder = options.data / "paintings" / "starry.jpg", options.data / "primitives" / "flowers"
    templates = load_templates(folder)
    goals = {}
    lines = []
    for device, count, size in (("cpu", 1_000, 512), ("cuda", 1_000, 512), ("cuda", 10_000, 2048)):
        began = time.monotonic()
        composition = fit(target, templates, count=count, size=size, steps=300, device=device)
        seconds = time.monotonic() - began
        shown = picture(composition)[..., :3] / 255
        if shown.shape not in goals:
            from PIL import Image

            image = Image.fromarray(read_image(target)[..., :3])
            small = image.resize((shown.shape[1], shown.shape[0]), Image.Resampling.LANCZOS)
            goals[shown.shape] = np.asarray(small) / 255
        psnr = -10 * np.log10(np.mean((shown - goals[shown.shape]) ** 2))
        figure = f"{psnr:.2f} dB in {seconds:.2f} s"
        lines.append(Line(f"{target.stem}, {count:,} {folder.name}, {size} px, {device}", figure, "", None))
    return lines


def circles(options: argparse.Namespace) -> list[Line]:
    """The circles of the published task, where its paintings are."""
    from smalti.engine.bench import circles as task

    if options.data is None:
        return [Line("circles", "need the paintings: --data FOLDER", "", None)]
    images = sorted((options.data / "paintings").glob("*.jp*g"))
    limits = {"starry": 0.40}
    lines = []
    for outcome in task.run(images, options.out, task.STEPS, 0, options.out / "circles.json", "cuda"):
        name = Path(outcome.image).stem
        limit = limits.get(name, 0.12)
        if outcome.ratio is None:
            lines.append(Line(f"circles, {name}", f"{outcome.mse:.5f} in {outcome.seconds:.2f} s", "", None))
            continue
        figure = f"{outcome.ratio:.3f} of the published error in {outcome.seconds:.2f} s"
        good = outcome.ratio <= limit and outcome.seconds < 2
        lines.append(Line(f"circles, {name}", figure, f"{limit} in 2 s", good))
    return lines


def many_fits(options: argparse.Namespace) -> list[Line]:
    """A thousand small fits in a row."""
    from optimisers import optimiser, settings

    from smalti.engine.cuda.device import device

    def one() -> None:
        fitting = optimiser(True, settings(back_end="cuda", steps=8))
        while not fitting.finished:
            fitting.step()
        fitting.sprites()

    def free() -> int:
        gc.collect()
        device().synchronize()
        return device().free_bytes()  # of the whole card: graphs and modules count too

    for _ in range(20):
        one()
    before = free()
    began = time.monotonic()
    for _ in range(1000):
        one()
    seconds = time.monotonic() - began
    grown = (before - free()) / 2**20
    return [Line("1,000 fits in a row", f"{grown:.0f} MB more in {seconds:.0f} s", "16 MB", grown <= 16)]
