# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that wants a GPU, in one go: `python benchmarks/gpu.py --data FOLDER`. What it covers stands in gpu.md.

Each part runs in a process of its own, for a fault on a GPU spoils its process. It prints what it finds and adds lines
to a table that is printed last: what was measured, the figure, the limit, and whether it holds. The exit status is the
number of failures.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    from smalti.engine.raster import Scene

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
SANITIZER_SECONDS = 100
PART_SECONDS = 420
FLOAT32_PER_CORE = 2
"""Operations of one core in one cycle: a multiplication and an addition."""
CORES = {7: 64, 8: 128, 9: 128, 10: 128, 12: 128}
"""Float32 cores of a multiprocessor, by the major number of the compute capability (8.0 has 64)."""
OPERATIONS = {"tint": 100, "mixed": 207}
"""Floating-point operations of a step for a pixel and a sprite that covers it, counted in tile.cuh for one mip level:
39 (75 with the bitmap's colours) on the way down, 61 (132) on the way up. A fused multiply-add counts as two;
conversions, comparisons, shuffles and the sums over a block do not count."""


@dataclass
class Line:
    """One line of the table."""

    what: str
    figure: str
    limit: str
    good: bool | None  # None: nothing to hold


def number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}"


def relative(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12))


def finished(command: list[str], log: Path, seconds: float) -> int | None:
    """Run a command with all its children, what it says going to `log`; its exit status, None where time ran out."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None


def machine(options: argparse.Namespace) -> list[Line]:
    """The card, its software, and the state of the sources."""
    from smalti.engine.cli.doctor import checks

    for check in checks():
        print(f"  {check.name}: {check.found} {check.hint}")
    card = torch.cuda.get_device_properties(0)
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return [
        Line("card", f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} SMs", "", None),
        Line("software", f"torch {torch.__version__}, Python {platform.python_version()}, commit {commit}", "", None),
    ]


def parity(options: argparse.Namespace) -> list[Line]:
    """Pictures and gradients against the reference, on the random scenes of the tests and on fresh ones."""
    from scenes import random_scene, stacked_scene, with_gradients

    fresh = int(time.time())
    print(f"  the fresh scene has the seed {fresh}")
    scenes = [
        *(random_scene(seed, mix=mix, lod_bias=bias) for seed in (1, 2) for mix in (0.0, 0.5, 1.0) for bias in (0, 2)),
        random_scene(3, mix=0.3, background=False),
        random_scene(4, size=(40, 40), half_size=(60.0, 90.0)),
        random_scene(fresh, n=60, size=(90, 70), mix=0.5),
        stacked_scene(5),
        stacked_scene(6, mix=0.7),
    ]
    image_off, grad_off = 0.0, 0.0
    for scene in scenes:
        for stop in (0.0, 1e-4):
            image, grads = with_gradients(replace(scene, stop=stop), "cuda")
            true, true_grads = with_gradients(replace(scene, stop=stop), "reference")
            image_off = max(image_off, float((image - true).abs().max()))
            for found, expected in zip(grads, true_grads):
                if expected.abs().max() > 0:
                    grad_off = max(grad_off, relative(found, expected))
    again = [with_gradients(replace(scenes[1], stop=1e-4), "cuda") for _ in range(5)]
    same = all(torch.equal(a[0], again[0][0]) for a in again) and all(
        torch.equal(x, y) for a in again for x, y in zip(a[1], again[0][1])
    )
    candidate_off = max(candidates_off(scene) for scene in scenes[:8])
    return [
        Line(
            "removal errors and candidates, against the CPU, relative",
            number(candidate_off),
            "1e-3",
            candidate_off < 1e-3,
        ),
        Line("picture against the reference, largest difference", number(image_off), "1e-4", image_off < 1e-4),
        Line("gradients against the reference, relative", number(grad_off), "1e-3", grad_off < 1e-3),
        Line("five runs, the same bits", str(same), "yes", same),
    ]


def candidates_off(scene: Scene[Tensor]) -> float:
    """Largest difference of errors and coefficients from the CPU's, over the largest number of the kind."""
    from scenes import random_candidates
    from smalti.engine.raster import evaluate_candidates

    goal = torch.rand(*scene.size, 4, generator=torch.Generator().manual_seed(1))
    candidates = random_candidates(9, scene, 200)
    found, true = (
        evaluate_candidates(replace(scene, stop=1e-4), goal, candidates, back_end) for back_end in ("cuda", "cpu")
    )
    pairs = [(found.removal_errors, true.removal_errors), *zip(found.coefficients.T, true.coefficients.T)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def step_parity(options: argparse.Namespace) -> list[Line]:
    """Whole steps, captured and played again, against the CPU's from the same state; and through a checkpoint."""
    from optimisers import optimiser, settings

    worst = 0.0
    for background in (True, False):
        for changes in ({}, {"colour_mix": 0.5}, {"blend_space": "linear"}):
            ours, cpu = (optimiser(background, settings(back_end=b, **changes)) for b in ("cuda", "cpu"))
            for _ in range(10):
                cpu.restore(ours.state())
                ours.restore(ours.state())
                worst = max(worst, abs(float(ours.step()) / float(cpu.step()) - 1))
    through, first, second = (optimiser(True, settings(back_end="cuda")) for _ in range(3))
    for _ in range(40):
        through.step()
    for _ in range(20):
        first.step()
    second.restore(first.state())
    for _ in range(20):
        second.step()
    expected, found = through.state(), second.state()
    same = all(np.array_equal(expected[name], found[name]) for name in expected)
    return [
        Line("loss of steps against the CPU, relative", number(worst), "1e-4", worst < 1e-4),
        Line("40 steps are 20 and 20 through a checkpoint", str(same), "yes", same),
    ]


def sanitized(options: argparse.Namespace) -> list[Line]:
    """A small scene and a few steps under each of compute-sanitizer's tools."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return [Line("compute-sanitizer", "is not on this machine", "", None)]
    lines = []
    for name in SANITIZERS:
        command = [tool, "--tool", name, "--error-exitcode", "7", sys.executable, __file__, "--only", "small"]
        began = time.monotonic()
        log = options.out / f"{name}.log"
        code = finished(command, log, SANITIZER_SECONDS)
        said = log.read_text(errors="replace").splitlines()
        print("\n".join(said[-30:]))
        if code is None:
            lines.append(Line(name, f"not finished in {SANITIZER_SECONDS} s", "", False))
            continue
        summary = [line for line in said if "SUMMARY" in line] or said[-1:]
        found = f"{' '.join(summary).replace('=', '').strip()} ({time.monotonic() - began:.0f} s)"
        lines.append(Line(name, found, "0 errors", code == 0))
    return lines


def small(options: argparse.Namespace) -> list[Line]:
    """What the sanitizers watch."""
    from optimisers import optimiser, settings

    from scenes import random_scene, with_gradients
    from smalti.engine.raster import removal_errors

    scene = replace(random_scene(1, n=80, size=(45, 61), mix=0.5), stop=1e-4)
    with_gradients(scene, "cuda")
    goal = torch.rand(45, 61, 4)
    for mix in (0.0, 0.5):
        removal_errors(replace(scene, background=None, mix=mix), goal, "cuda")
        candidates_off(replace(scene, mix=mix))
        fitting = optimiser(False, settings(back_end="cuda", colour_mix=mix))
        for _ in range(3):
            float(fitting.step())
    return []


def steps(options: argparse.Namespace) -> list[Line]:
    """Time and memory of whole steps, against the limits; and how much of the card's arithmetic they use."""
    from smalti.engine.bench.memory import _of_gpu
    from smalti.engine.bench.scene import Case, covered_pairs, random_sprites
    from smalti.engine.bench.speed import optimiser_for
    from smalti.engine.raster.geometry import affine_maps

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
        drawn = {name: torch.from_numpy(values) for name, values in random_sprites(case).columns().items()}
        shape = torch.full((sprites, 2), 64.0, dtype=torch.float64)
        maps = affine_maps(drawn["x"], drawn["y"], drawn["scale"], drawn["aspect"], drawn["theta"], shape)
        pairs = covered_pairs(maps.numpy(), size, size)
        share = pairs * OPERATIONS["mixed" if mix else "tint"] / (ms / 1e3) / peak
        what = f"step, {sprites:,} sprites of {half:g} on {size}^2, mix {mix:g}: ms"
        lines.append(Line(what, number(ms), f"{limit}" if limit else "", ms <= limit if limit else None))
        lines.append(Line("  share of the peak, counted operations", f"{100 * share:.1f} %", "", None))
        memory = _of_gpu(case)
        bound = 100 if (sprites, size) == (10_000, 2048) else None
        lines.append(Line("  working memory, MB", number(memory), f"{bound or ''}", memory < bound if bound else None))
    return lines


def kernel_times(options: argparse.Namespace) -> list[Line]:
    """Where a step's time goes, kernel by kernel."""
    # CUPTI, which the profiler uses, may not be started anew beside CUDA graphs.
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
    """The starry night from 1,000 and 10,000 flowers, and on the CPU for comparison."""
    from smalti.engine.api import fit
    from smalti.engine.composition.render import picture
    from smalti.engine.files.images import read_image
    from smalti.engine.templates import load_templates

    target = options.data / "paintings" / "starry.jpg"
    templates = load_templates(options.data / "primitives" / "flowers")
    wanted = {}
    lines = []
    for device, count, size in (("cpu", 1_000, 512), ("cuda", 1_000, 512), ("cuda", 10_000, 2048)):
        began = time.monotonic()
        composition = fit(target, templates, count=count, size=size, steps=300, device=device)
        seconds = time.monotonic() - began
        shown = picture(composition)[..., :3] / 255
        if shown.shape not in wanted:
            from PIL import Image

            image = Image.fromarray(read_image(target)[..., :3])
            small = image.resize((shown.shape[1], shown.shape[0]), Image.Resampling.LANCZOS)
            wanted[shown.shape] = np.asarray(small) / 255
        psnr = -10 * np.log10(np.mean((shown - wanted[shown.shape]) ** 2))
        figure = f"{psnr:.2f} dB in {seconds:.2f} s"
        lines.append(Line(f"starry, {count:,} flowers, {size} px, {device}", figure, "", None))
    return lines


def circles(options: argparse.Namespace) -> list[Line]:
    """The circles of the published task."""
    from smalti.engine.bench import circles as task

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


PARTS: dict[str, Callable[[argparse.Namespace], list[Line]]] = {
    "machine": machine,
    "sanitizers": sanitized,
    "parity": parity,
    "step-parity": step_parity,
    "steps": steps,
    "kernels": kernel_times,
    "circles": circles,
    "fits": fits,
    "many-fits": many_fits,
    "bench": bench,
}


def part_file(folder: Path, name: str) -> Path:
    """Where a part leaves its lines."""
    return folder / f"part-{name}.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="paintings and primitives")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "smalti-gpu", help="for files")
    parser.add_argument("--only", default="", help=f"some of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # one part, in this process
    options = parser.parse_args()
    if options.only == "small":
        small(options)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if options.alone:
        lines = PARTS[chosen[0]](options)
        part_file(options.out, chosen[0]).write_text(json.dumps([asdict(line) for line in lines]))
        return 0
    from smalti.engine.cuda.driver import why_not

    if reason := why_not():
        print(f"No GPU can be used here: {reason}", file=sys.stderr)
        return 2
    table: list[Line] = []
    for name in chosen:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        part_file(options.out, name).unlink(missing_ok=True)
        log = options.out / f"part-{name}.log"
        folders = ["--data", str(options.data), "--out", str(options.out)]
        code = finished([sys.executable, __file__, "--only", name, "--alone", *folders], log, PART_SECONDS)
        said = log.read_text(errors="replace")
        print(said[-6000:], flush=True)
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
        if code == 0:
            table += [Line(**line) for line in json.loads(part_file(options.out, name).read_text())]
        else:
            why = "not finished in time" if code is None else (said.strip().splitlines() or ["(silent)"])[-1][:100]
            table.append(Line(name, f"failed: {why}", "", False))
        (options.out / "table.json").write_text(json.dumps([asdict(line) for line in table], indent=1))
    width = max((len(line.what) for line in table), default=0)
    print("\n" + "-" * 60)
    for line in table:
        verdict = {None: "", True: "good", False: "BAD"}[line.good]
        print(f"{line.what:{width}}  {line.figure}{f'  (limit {line.limit})' if line.limit else ''}  {verdict}")
    return sum(line.good is False for line in table)


if __name__ == "__main__":
    sys.exit(main())
