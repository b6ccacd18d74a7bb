# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that measure: steps, kernels, whole fits, and the memory of many."""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from table import ROOT, Line, number

FLOAT32_PER_CORE = 2
"""Operations of one core in one cycle: a multiplication and an addition."""
CORES = {7: 64, 8: 128, 9: 128, 10: 128, 12: 128}
"""Float32 cores of a multiprocessor, by the major number of the compute capability (8.0 has 64)."""
OPERATIONS = {"tint": 100, "mixed": 207}
"""Floating-point operations of a step for a pixel and a sprite that covers it, counted in engine/cuda/tile_*.cuh for
one mip level: 39 (75 with the bitmap's colors) front to back, 61 (132) back to front. A fused multiply-add counts as
two; conversions, comparisons, shuffles and the sums over a block do not count."""


def steps(options: argparse.Namespace) -> list[Line]:
    """Time and memory of whole steps, against the limits; and how much of the card's arithmetic they use."""
    from smalti.engine.bench.memory import working_mb_of_gpu
    from smalti.engine.bench.scene import TEXELS, Case, covered_pairs, discs, random_sprites
    from smalti.engine.bench.speed import optimiser_for

    card = torch.cuda.get_device_properties(0)
    cores = 64 if (card.major, card.minor) == (8, 0) else CORES.get(card.major, 128)
    clock = getattr(card, "clock_rate", 0) * 1e3  # hertz
    if not clock:
        clock = 1.98e9
        print("  torch does not tell the card's clock: 1.98 GHz, that of an H200, is assumed")
    peak = card.multi_processor_count * cores * FLOAT32_PER_CORE * clock
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
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(20):
                last = optimiser.step()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 20)
        ms = statistics.median(times)
        maps = random_sprites(case).affine(np.full((len(discs()), 2), float(TEXELS)))
        pairs = covered_pairs(maps.numpy(), size, size)
        share = pairs * OPERATIONS["mixed" if mix else "tint"] / (ms / 1e3) / peak
        what = f"step, {sprites:,} sprites of {half:g} on {size}^2, mix {mix:g}: ms"
        lines.append(Line(what, number(ms), f"{limit}" if limit else "", ms <= limit if limit else None))
        lines.append(Line("  share of the peak, counted operations", f"{100 * share:.1f} %", "", None))
        memory = working_mb_of_gpu(case)
        bound = 100 if (sprites, size) == (10_000, 2048) else None
        lines.append(Line("  working memory, MB", number(memory), f"{bound or ''}", memory < bound if bound else None))
    return lines


def kernel_times(options: argparse.Namespace) -> list[Line]:
    """Where a step's time goes, kernel by kernel."""
    # CUPTI, which the profiler uses, may not be started twice beside CUDA graphs.
    os.environ["TEARDOWN_CUPTI"] = "0"
    from torch.profiler import ProfilerActivity, profile

    from smalti.engine.bench.scene import Case
    from smalti.engine.bench.speed import optimiser_for

    lines = []
    for sprites, size in ((1_000, 512), (10_000, 2048)):
        optimiser = optimiser_for(Case("cuda", 1, sprites, size, 25.0, 0.0))
        for _ in range(10):
            last = optimiser.step()
        float(last)
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            for _ in range(20):
                last = optimiser.step()
            float(last)
        for event in sorted(found.key_averages(), key=lambda e: -e.device_time_total)[:10]:
            us = event.device_time_total / 20
            lines.append(Line(f"  {sprites:,} on {size}^2: {event.key[:40]}, us", number(us), "", None))
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

    def one() -> None:
        fitting = optimiser(True, settings(back_end="cuda", steps=8))
        while not fitting.finished:
            fitting.step()
        fitting.sprites()

    def free() -> int:
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0])  # of the whole card: graphs and modules count too

    for _ in range(20):
        one()
    before = free()
    began = time.monotonic()
    for _ in range(1000):
        one()
    seconds = time.monotonic() - began
    grown = (before - free()) / 2**20
    return [Line("1,000 fits in a row", f"{grown:.0f} MB more in {seconds:.0f} s", "16 MB", grown <= 16)]
