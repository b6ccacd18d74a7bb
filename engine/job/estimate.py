# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a job would take here, by timing a few of its steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from smalti.bridge.choices import PRESETS, Preset, everyday
from smalti.bridge.job import JobSpec

from ..composition.render import picture
from ..fitting.fit import Fit
from ..raster import FINISHED_BACK_END
from .inputs import Inputs, read_inputs
from .result import compose
from .run import PREVIEW_SECONDS

SAMPLES = (0.02, 0.15, 0.4, 0.7, 0.9)
"""Fractions of the steps at which some are timed: later ones on larger canvases, the last without discrete moves."""
MIN_TIMED_STEPS = 20
"""Steps that are timed at each of these, at least."""


@dataclass(frozen=True)
class Estimate:
    """What a job would take with a preset.

    Attributes:
        preset: its name.
        steps: gradient steps of all frames together.
        first_steps: those of the first frame.
        seconds: for everything, reading and rendering included.
    """

    preset: Preset
    steps: int
    first_steps: int
    seconds: float


def estimates(
    job: JobSpec, presets: Sequence[Preset] = everyday(PRESETS), budget: float = math.inf
) -> Iterator[Estimate]:
    """Estimate what a job would take with each of the presets. Nothing is written.

    Args:
        job: the job.
        presets: their names.
        budget: seconds for timing the steps of each, so that fewer are timed where they are slow.

    Raises:
        SmaltiError: as `smalti.engine.job.inputs.read_inputs`.
    """
    templates, template_counts, placement, reading = None, None, None, 0.0
    for preset in presets:
        began = time.perf_counter()
        inputs = read_inputs(replace(job, preset=preset), templates, template_counts, placement=placement)
        reading = reading or time.perf_counter() - began  # of the first preset: it alone reads the bitmaps
        templates, template_counts = inputs.templates, [len(group.templates) for group in inputs.groups]
        placement = inputs.placement
        began = time.perf_counter()
        fitting = inputs.fitting()
        float(fitting.step())  # apart from the samples: it allocates memory
        seconds = reading + time.perf_counter() - began
        pace = _pace(inputs, fitting, budget / len(SAMPLES))
        preview, render = (_seconds_of_picture(inputs, fitting, name) for name in (inputs.device, FINISHED_BACK_END))
        ends = (*SAMPLES[1:], 1.0)
        seconds += inputs.steps * sum((end - begin) * each for begin, end, each in zip((0.0, *ends), ends, pace))
        seconds += (fitting.steps - inputs.steps) * pace[-1]
        seconds += preview * seconds / PREVIEW_SECONDS + render * len(inputs.frames)
        yield Estimate(preset, fitting.steps, inputs.steps, seconds)


def _pace(inputs: Inputs, fitting: Fit, budget: float) -> list[float]:
    """Seconds of a step of the first frame, at each of `SAMPLES`, for each of which there are `budget` seconds."""
    pace = []
    for share in SAMPLES:
        # Over whole periods of the strategy, so that its discrete moves count for their part in each sample.
        apart = inputs.strategy.period(inputs.steps)
        first = -(-int(share * inputs.steps) // apart) * apart
        fitting.optimiser.done = min(first, (inputs.steps - 1) // apart * apart)
        count = min(-(-MIN_TIMED_STEPS // apart) * apart, inputs.steps - fitting.optimiser.done)
        began = time.perf_counter()
        done = 0
        while done == 0 or (done < count and time.perf_counter() - began < budget):
            done, last = done + 1, fitting.step()
        float(last)
        pace.append((time.perf_counter() - began) / done)
    return pace


def _seconds_of_picture(inputs: Inputs, fitting: Fit, device: str) -> float:
    """Seconds for a picture of the job so far, rendered on a device with an atlas that is built already."""
    composition = compose(inputs, fitting.result())
    picture(composition, back_end=device)
    began = time.perf_counter()
    picture(composition, back_end=device)
    return time.perf_counter() - began
