# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting from Python, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from smalti.bridge.job import JobSpec
from smalti.bridge.looks import in_look
from smalti.bridge.schema import from_mapping, to_mapping

from .composition import Composition
from .fitting.strategy import Strategy
from .job.inputs import read_inputs
from .job.result import compose
from .templates import Template


def fit(
    target: Path | str,
    templates: Sequence[Template],
    *,
    strategy: Strategy | None = None,
    progress: Callable[[int, int, float], None] | None = None,
    **settings: Any,
) -> Composition:
    """Rebuild a picture, or a folder of frames, from templates. Writes nothing; see `Composition.save`.

    Args:
        target: path of an image, or of a folder of frames.
        templates: from `load_templates`, from `text_templates`, or from both.
        strategy: hyperparameters (see `smalti.engine.fitting.strategy`); None takes those of the preset.
        progress: called after every step with steps done, steps in all, and the loss; an exception ends the fit.
        settings: the fields of `smalti.bridge.job.JobSpec`: count, size, steps, colour_mix, background, seed, ...
            `regions` may be given as dictionaries. Those that are not given follow from the look.

    Raises:
        SmaltiError: a picture or a setting is unusable.
        TypeError: there is no such setting.
    """
    job = JobSpec(target=str(target), primitives="(in memory)", **in_look(settings))
    inputs = read_inputs(from_mapping(JobSpec, _plain(to_mapping(job)), "settings"), templates, strategy=strategy)
    fitting = inputs.fitting()
    while not fitting.finished:
        loss = fitting.step()
        if progress is not None:
            progress(fitting.steps_done, fitting.steps, float(loss))
    return compose(inputs, fitting.result())


def _plain(value: Any) -> Any:
    """A setting with its `Path` objects as text, also within lists and dictionaries."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
