# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of `smalti bench`, drawn with Pillow: a step's time against covered pairs, and against the canvas."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..files.atomic import write_atomic
from .report import (
    SIZES,
    SPRITES,
    Row,
    by_scene,
    fastest,
    line_through,
    linear_rows,
    thread_counts,
)
from .scene import is_gpu

SUPERSAMPLING = 3
"""The plot is drawn this many times larger and then reduced, which smooths lines and letters."""
WIDTH, HEIGHT = 1240, 600

INK, GRAY, GRID = "#222222", "#666666", "#e2e2e2"
COLORS = ("#1f5fa8", "#c8641e")
DOT = 5.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: its ends, its ticks (value and text), and its label."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str

    def share(self, value: float) -> float:
        """The position of a value, from 0 at the low end to 1."""
        return math.log(value / self.low) / math.log(self.high / self.low)


def decades(values: Sequence[float], label: str) -> Axis:
    """An axis that holds all values, with ticks at 1, 2 and 5 times powers of ten."""
    low, high = 0.75 * min(values), 1.4 * max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    return Axis(low, high, [(t, f"{t:,g}") for t in ticks if low <= t <= high], label)


class Panel:
    """One diagram of the picture.

    Args:
        draw: draws on a picture `SUPERSAMPLING` times as large as the plot.
        left: left edge of the frame, pixels of the finished plot.
        x, y: its axes.
        title: the text above.
    """

    def __init__(self, draw: ImageDraw.ImageDraw, left: float, x: Axis, y: Axis, title: str) -> None:
        self._draw = draw
        self._left, self._top, self._right, self._bottom = left, 72.0, left + 510.0, HEIGHT - 72.0
        self._x, self._y = x, y
        self._keys = 0
        for value, text in x.ticks:
            at = self._at((value, y.low))[0]
            self._stroke([(at, self._top), (at, self._bottom)], GRID)
            self.write((at, self._bottom + 7), text, "ma", GRAY)
        for value, text in y.ticks:
            at = self._at((x.low, value))[1]
            self._stroke([(self._left, at), (self._right, at)], GRID)
            self.write((self._left - 7, at), text, "rm", GRAY)
        corners = [(self._left, self._top), (self._right, self._top), (self._right, self._bottom)]
        self._stroke([*corners, (self._left, self._bottom), corners[0]], GRAY)
        self.write((self._left, self._top - 52), title, "la", INK, 17)
        self.write(((self._left + self._right) / 2, self._bottom + 30), x.label, "ma", INK)
        self.write((self._left, self._top - 9), y.label, "ls", GRAY)

    def line(self, points: Iterable[Point], color: str, dashed: bool = False) -> None:
        """A line through points in the axes' values; points outside the frame are left out."""
        ends = [self._at(p) for p in points]
        self._stroke([p for p in ends if self._top <= p[1] <= self._bottom], color, 2, dashed)

    def dot(self, point: Point, color: str, hollow: bool = False) -> None:
        """A dot at a point in the axes' values."""
        self._dot(self._at(point), color, hollow)

    def key(self, text: str, color: str, *, dot: bool = True, hollow: bool = False, dashed: bool | None = None) -> None:
        """Another line of the legend; `dashed` None draws no line."""
        x, y = self._left + 16, self._top + 20 + 23 * self._keys
        self._keys += 1
        if dashed is not None:
            self._stroke([(x, y), (x + 34, y)], color, 2, dashed)
        if dot:
            self._dot((x + 17, y), color, hollow)
        self.write((x + 44, y), text, "lm", INK)

    def write(self, at: Point, text: str, anchor: str, color: str, size: float = 14) -> None:
        """Text at a place of the finished plot, pixels; `anchor` as in Pillow."""
        font = ImageFont.load_default(size * SUPERSAMPLING)
        self._draw.text((at[0] * SUPERSAMPLING, at[1] * SUPERSAMPLING), text, fill=color, font=font, anchor=anchor)

    def _at(self, point: Point) -> Point:
        return (
            self._left + self._x.share(point[0]) * (self._right - self._left),
            self._bottom - self._y.share(point[1]) * (self._bottom - self._top),
        )

    def _dot(self, at: Point, color: str, hollow: bool) -> None:
        box = [SUPERSAMPLING * (c + side * DOT) for side in (-1, 1) for c in at]
        self._draw.ellipse(box, fill="white" if hollow else color, outline=color, width=2 * SUPERSAMPLING)

    def _stroke(self, points: Sequence[Point], color: str, width: float = 1, dashed: bool = False) -> None:
        for (x0, y0), (x1, y1) in pairwise(points):
            dashes = max(1, round(math.hypot(x1 - x0, y1 - y0) / 6)) if dashed else 1
            for dash in range(0, dashes, 2):
                first, last = dash / dashes, min(1.0, (dash + 1) / dashes)
                ends = [(x0 + s * (x1 - x0), y0 + s * (y1 - y0)) for s in (first, last)]
                pixels = [(SUPERSAMPLING * x, SUPERSAMPLING * y) for x, y in ends]
                self._draw.line(pixels, fill=color, width=round(width * SUPERSAMPLING))


def draw_plot(rows: Sequence[Row], path: Path) -> None:
    """Write the plot of the rows of `smalti.engine.bench.report.all_cases`, the fastest back end's, as PNG.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    rows = [row for row in rows if row.case.backend == fastest()[0]]
    picture = Image.new("RGB", (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING), "white")
    draw = ImageDraw.Draw(picture)
    time = decades([row.times.step_ms for row in rows], "milliseconds")
    _against_pairs(draw, rows, time)
    _against_canvas(draw, rows, time)
    small = picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    write_atomic(path, lambda file: small.save(file, "PNG"))


def _against_pairs(draw: ImageDraw.ImageDraw, rows: Sequence[Row], time: Axis) -> None:
    pairs = decades([row.times.covered_pairs / 1e6 for row in rows], "covered pixel-sprite pairs, millions")
    backend, threads = fastest()
    panel = Panel(draw, 62, pairs, time, f"A step's time grows with what is covered ({_processor(backend, threads)})")
    linear = linear_rows(rows)
    fit = line_through(linear)
    amounts = np.geomspace(pairs.low, pairs.high, 100)
    panel.line(((a, max(fit.fixed_ms + fit.ms_per_million * a, 1e-3)) for a in amounts.tolist()), GRAY)
    for row in rows:
        if row.case.threads == threads:
            panel.dot((row.times.covered_pairs / 1e6, row.times.step_ms), COLORS[0], row not in linear)
    panel.key("sweep of sprites and pixels", COLORS[0])
    panel.key("other cases (a pixel under many sprites ends early)", COLORS[0], hollow=True)
    panel.key(
        f"{fit.fixed_ms:.1f} ms + {fit.ms_per_million:.2f} ms a million, r squared {fit.r2:.4f}",
        GRAY,
        dot=False,
        dashed=False,
    )


def _against_canvas(draw: ImageDraw.ImageDraw, rows: Sequence[Row], time: Axis) -> None:
    canvas = Axis(SIZES[0] / 1.25, SIZES[-1] * 1.25, [(s, str(s)) for s in SIZES], "side of the canvas, pixels")
    panel = Panel(draw, 690, canvas, time, "A step's time on a larger canvas")
    for sprites, color in zip(SPRITES, COLORS):
        backend, most = fastest()
        for threads in thread_counts(backend):
            found = by_scene(rows, backend, threads)
            points = [(float(size), found[sprites, size].times.step_ms) for size in SIZES]
            alone = threads < most
            panel.line(points, color, dashed=alone)
            for point in points:
                panel.dot(point, color, hollow=alone)
            panel.key(f"{sprites:,} sprites, {_processor(backend, threads)}", color, hollow=alone, dashed=alone)


def _processor(backend: str, count: int) -> str:
    if is_gpu(backend):
        return "GPU"
    return "1 thread" if count == 1 else f"{count} threads"
