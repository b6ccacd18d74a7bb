# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a job would take here, by timing a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from smalti.bridge.job import JobSpec, Preset

from .cpu import threads_to_kernels
from .fitting.exchange import steps_apart
from .fitting.presets import PRESETS as EFFORTS
from .inputs import read_inputs

PRESETS: tuple[Preset, ...] = ("draft", "balanced", "best")
SAMPLES = (0.0, 0.15, 0.4, 0.7)
"""Shares of the steps at which some are timed: later ones are on larger canvases."""
AT_LEAST = 20
"""Steps that are timed there, at least."""


@dataclass(frozen=True)
class Estimate:
    """What a job would take with a preset: steps of the first frame, and seconds for all frames."""

    preset: Preset
    steps: int
    seconds: float


def estimates(job: JobSpec) -> Iterator[Estimate]:
    """What a job would take with each preset. Nothing is written.

    Raises:
        SmaltiError: as `smalti.engine.inputs.read_inputs`.
    """
    templates = None
    for preset in PRESETS:
        inputs = read_inputs(replace(job, preset=preset), templates)
        templates = inputs.templates
        with threads_to_kernels():
            fitting = inputs.fitting()
            float(fitting.step())  # the first makes room in memory
            pace = []
            for share in SAMPLES:
                # From one round of exchanges to the next, so that rounds have their part in each sample.
                apart = steps_apart(inputs.steps, EFFORTS[preset].effort)
                count = -(-AT_LEAST // apart) * apart
                fitting.optimiser.done = int(share * inputs.steps) // apart * apart
                count = min(count, inputs.steps - fitting.optimiser.done)
                began = time.perf_counter()
                loss = [fitting.step() for _ in range(count)]
                float(loss[-1])
                pace.append((time.perf_counter() - began) / count)
        widths = [b - a for a, b in zip(SAMPLES, (*SAMPLES[1:], 1.0))]
        seconds = inputs.steps * sum(width * each for width, each in zip(widths, pace))
        yield Estimate(preset, inputs.steps, seconds + (len(inputs.frames) - 1) * inputs.frame_steps * pace[-1])
