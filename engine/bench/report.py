# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases that `smalti bench` times, and its report: a table, how time grows, a file of numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from smalti.bridge.version import VERSION

from ..cpu import instruction_set
from ..devices import available_devices
from ..files.atomic import write_atomic
from ..thread_count import threads
from .memory import Meter
from .scene import Case, is_gpu
from .speed import Times, time_case

SPRITES = (1_000, 10_000)
SIZES = (512, 1024, 2048)
HALF_SIZE = 25.0

TINY = Case("reference", 1, 50, 64, 8.0, 0.0)
"""What the reference is timed on, which is written to be right and not to be fast."""
REFERENCE_LIMIT = 1_000_000
"""Sprites times pixels above which the reference is left out of a case that was asked for."""

MORE_SPRITES = tuple((n, 1024) for n in (500, 1_000, 2_000, 4_000))
MORE_PIXELS = ((1_000, 512), (4_000, 1024), (8_000, 1448), (12_000, 1774), (16_000, 2048))
MORE_DEPTH = tuple((n, 512) for n in (1_000, 2_000, 4_000, 8_000))
"""Numbers of sprites and canvases that show how time grows: with sprites, with pixels at one depth, and with depth."""


@dataclass(frozen=True)
class Row:
    """One case and its figures. Memory is in MiB, and None where the system does not report it."""

    case: Case
    times: Times
    memory_mb: float | None

    @property
    def depth(self) -> float:
        """Sprites over a pixel, on average."""
        return self.times.covered_pairs / self.case.size**2

    @property
    def pairs_per_second(self) -> float:
        """Covered pixel-sprite pairs in a second of forward and backward pass together."""
        return 1000 * self.times.covered_pairs / self.times.both_ms

    def as_json(self) -> dict[str, str | int | float | None]:
        """The row as `--json` writes it."""
        return asdict(self.case) | asdict(self.times) | {"memory_mb": self.memory_mb}


@dataclass(frozen=True)
class Line:
    """A line through times of steps: `fixed_ms` + `ms_per_million` a million covered pairs; r2 is its fit."""

    fixed_ms: float
    ms_per_million: float
    r2: float


def thread_counts(backend: str = "cpu") -> list[int]:
    """One, and all that there are; for a GPU there is only one."""
    return sorted({1, threads()}) if not is_gpu(backend) else [1]


def fastest() -> tuple[str, int]:
    """The fastest back end of this machine, and how many threads it takes."""
    backend = available_devices()[0]
    return backend, thread_counts(backend)[-1]


def one_case(sprites: int, size: int, half_size: float, mix: float, threads: Sequence[int]) -> list[Case]:
    """The same scene on every back end and number of threads."""
    return [
        Case(backend, count, sprites, size, half_size, mix)
        for backend in available_devices()
        for count in (threads if not is_gpu(backend) else thread_counts(backend))
        if backend != TINY.backend or sprites * size**2 <= REFERENCE_LIMIT
    ]


def all_cases() -> list[Case]:
    """The default cases. The last ones show how time grows, on all threads of the fastest back end."""
    scenes = [(n, size) for n in SPRITES for size in SIZES]
    cases = [
        Case(backend, threads, n, size, HALF_SIZE, 0.0)
        for backend in available_devices()
        if backend != TINY.backend
        for threads in thread_counts(backend)
        for n, size in scenes
    ]
    backend, threads = fastest()
    growth = dict.fromkeys(scene for scene in (*MORE_SPRITES, *MORE_PIXELS, *MORE_DEPTH) if scene not in scenes)
    return [
        *cases,
        *([TINY] if TINY.backend in available_devices() else []),
        *(Case(backend, threads, n, size, HALF_SIZE, 0.0) for n, size in growth),
    ]


def measured(cases: Iterable[Case]) -> Iterator[Row]:
    """Time one case after another."""
    with Meter() as meter:
        for case in cases:
            memory = meter.working_mb(case)
            yield Row(case, time_case(case), None if memory is None else round(memory, 1))


def run(cases: Sequence[Case], json_file: Path | None) -> list[Row]:
    """Time the cases, print a table as they come, and write the numbers to a file.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    print(f"Smalti {VERSION}, CPU kernels for {instruction_set()}, {threads()} threads\n")
    print("back end   threads   sprites  canvas  half-size   mix   depth  forward  backward    step  pairs/s  memory")
    print("                                   px         px                    ms        ms      ms  million      MB")
    rows = []
    for row in measured(cases):
        print(_table_line(row), flush=True)
        rows.append(row)
    if json_file is not None:
        text = json.dumps([row.as_json() for row in rows], indent=1)
        write_atomic(json_file, lambda file: file.write(text.encode()))
    return rows


def _table_line(row: Row) -> str:
    case, times = row.case, row.times
    memory = "-" if row.memory_mb is None else f"{row.memory_mb:.0f}"
    return (
        f"{case.backend:9}  {case.threads:7}  {case.sprites:8,}  {case.size:6}  {case.half_size:9g}  {case.mix:4g}  "
        f"{row.depth:6.1f}  {_ms(times.forward_ms):>7}  {_ms(times.backward_ms):>8}  {_ms(times.step_ms):>6}  "
        f"{row.pairs_per_second / 1e6:7.0f}  {memory:>6}"
    )


def _ms(value: float) -> str:
    return f"{value:.1f}" if value >= 2 else f"{value:.3f}"


def by_scene(rows: Sequence[Row], backend: str, threads: int) -> dict[tuple[int, int], Row]:
    """The rows of one back end on a number of threads, by number of sprites and side of the canvas."""
    return {(r.case.sprites, r.case.size): r for r in rows if (r.case.backend, r.case.threads) == (backend, threads)}


def growth_rows(rows: Sequence[Row], scenes: Iterable[tuple[int, int]]) -> list[Row]:
    """The rows that show how time grows over some scenes: the fastest back end on all threads."""
    of_fastest = by_scene(rows, *fastest())
    return [of_fastest[scene] for scene in scenes]


def line_through(rows: Sequence[Row]) -> Line:
    """The least-squares line of a step's time against covered pairs."""
    pairs = np.array([row.times.covered_pairs for row in rows]) / 1e6
    times = np.array([row.times.step_ms for row in rows])
    slope, fixed = np.polyfit(pairs, times, 1)
    unexplained = ((times - fixed - slope * pairs) ** 2).sum()
    return Line(float(fixed), float(slope), float(1 - unexplained / ((times - times.mean()) ** 2).sum()))


def linear_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows over which time should grow as covered pairs do: more sprites and more pixels, not more depth."""
    return growth_rows(rows, dict.fromkeys((*MORE_SPRITES, *MORE_PIXELS)))


def growth_text(rows: Sequence[Row]) -> str:
    """The report on the rows of `all_cases`: threads, and growth with sprites, pixels and depth."""
    threads = thread_counts()
    lines = []
    if len(threads) > 1:
        alone, together = by_scene(rows, "cpu", 1), by_scene(rows, "cpu", threads[-1])
        gains = [alone[scene].times.both_ms / together[scene].times.both_ms for scene in alone if scene in together]
        lines.append(
            f"Forward and backward on {threads[-1]} threads: {statistics.median(gains):.2f} times as fast as on one "
            f"({min(gains):.2f} to {max(gains):.2f}).\n"
        )
    lines.append("How the time of a step grows, from the first to the last:")
    for name, scenes in (("sprites", MORE_SPRITES), ("pixels", MORE_PIXELS), ("depth", MORE_DEPTH)):
        first, *_, last = growth_rows(rows, scenes)
        lines.append(
            f"  {name:7}  {_scene(first)} to {_scene(last)}: covered pairs x {_ratio(last, first, 'covered_pairs')}, "
            f"time x {_ratio(last, first, 'step_ms')}"
        )
    line = line_through(linear_rows(rows))
    lines += [
        "A pixel is finished once no light passes, so sprites that lie deep cost little.",
        f"Over the sweep of sprites and pixels a step takes {line.fixed_ms:.1f} ms, and {line.ms_per_million:.2f} ms "
        f"for each million of covered pairs (r squared {line.r2:.4f}).",
    ]
    return "\n".join(lines)


def _scene(row: Row) -> str:
    return f"{row.case.sprites:,} on {row.case.size} px (depth {row.depth:.1f})"


def _ratio(last: Row, first: Row, field: str) -> str:
    return f"{getattr(last.times, field) / getattr(first.times, field):.1f}"
