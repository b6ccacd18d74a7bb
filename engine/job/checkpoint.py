# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint: everything that an interrupted job needs to go on to the same result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec

from ..composition import read_arrays, write_arrays
from ..fitting.fit import Fit
from ..fitting.placement import Placement
from ..motion.measures import FilmMeasures
from .fingerprints import Fingerprints
from .inputs import Inputs

RESTART = "Start the job again."


@dataclass
class Findings:
    """What a job at work has come to know.

    Attributes:
        seconds: how long it has run.
        psnrs: dB of the frames that are finished and have their pictures, by their indices.
        legibility: of the first frame, as report.json has it; empty as long as it is not known.
        film: what frames have in common.
    """

    seconds: float = 0.0
    psnrs: dict[int, float] = field(default_factory=dict)
    legibility: dict[str, float | int | None] = field(default_factory=dict)
    film: FilmMeasures = field(default_factory=FilmMeasures)

    def state(self) -> dict[str, NDArray[Any]]:
        """As arrays, for `of`."""
        return {
            "seconds": np.array(self.seconds),
            "psnrs": np.array([[frame, decibels] for frame, decibels in self.psnrs.items()]).reshape(-1, 2),
            "legibility": np.array(json.dumps(self.legibility)),
            **{f"film.{name}": array for name, array in self.film.state().items()},
        }

    @classmethod
    def of(cls, state: Mapping[str, NDArray[Any]]) -> Findings:
        """Of what `state` returned; earlier versions kept the seconds alone. Raises KeyError, TypeError, ValueError."""
        psnrs = {int(frame): float(decibels) for frame, decibels in state["psnrs"]} if "psnrs" in state else {}
        legibility = json.loads(str(state["legibility"])) if "legibility" in state else {}
        film = FilmMeasures()
        if "film.sums" in state:
            film.restore({name: state[f"film.{name}"] for name in film.state()})
        return cls(float(state["seconds"]), psnrs, legibility, film)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What is in a checkpoint, beside the state of the fit and the fingerprints.

    Attributes:
        state: all arrays by name, for `Fit.restore` and `Fingerprints.check`.
        names: of the templates.
        template_weights: of the templates.
        letters: of the templates.
        template_counts: number of templates of each group; None if the job has no regions.
        findings: what the job had come to know.
        canvas: width and height in pixels.
        background: see `Inputs`.
        placement: see `Inputs`.
    """

    state: Mapping[str, NDArray[Any]]
    names: list[str]
    template_weights: list[float]
    letters: list[str]
    template_counts: list[int] | None
    findings: Findings
    canvas: tuple[int, int]
    background: str
    placement: Placement | None

    def check(self, inputs: Inputs) -> None:
        """Check that the job's inputs still give the same canvas and background.

        Raises:
            SmaltiError: code ``"target_changed"``.
        """
        if (self.canvas, self.background) != ((inputs.width, inputs.height), inputs.background):
            raise SmaltiError(
                f"{inputs.job.target}: is not the picture that the job began with, or a setting was changed.",
                "Restore it, or start the job again.",
                "target_changed",
            )


def write_checkpoint(path: Path, inputs: Inputs, fitting: Fit, fingerprints: Fingerprints, findings: Findings) -> None:
    """Write a checkpoint in one step.

    Raises:
        SmaltiError: code ``"cannot_write"``, or a frame cannot be read.
    """
    fingerprints.add_frames(fitting.frame)
    write_arrays(
        path,
        {
            **fitting.state(),
            **fingerprints.state(),
            **findings.state(),
            **({} if inputs.placement is None else inputs.placement.state()),
            "names": np.array([t.name for t in inputs.templates]),
            "template_weights": np.array([t.weight for t in inputs.templates]),
            "letters": np.array([t.letter for t in inputs.templates]),
            "shares": np.array([len(group.templates) for group in inputs.groups]),
            "background": np.array(inputs.background),
            "canvas": np.array([inputs.width, inputs.height]),
        },
    )


def read_checkpoint(path: Path, job: JobSpec) -> Checkpoint:
    """Read the checkpoint of a job.

    Raises:
        SmaltiError: it is missing, damaged, or does not fit the job (code ``"bad_checkpoint"`` or ``"bad_file"``).
    """
    if not path.is_file():
        raise SmaltiError(f"{path}: is missing.", RESTART, "bad_checkpoint")
    state = read_arrays(path)
    with must_fit(path):
        names = [str(name) for name in state["names"]]
        weights = [1.0] * len(names)  # earlier versions had none
        if "template_weights" in state:
            weights = state["template_weights"].astype(np.float64).reshape(len(names)).tolist()
        letters = [""] * len(names)
        if "letters" in state:
            letters = [str(letter) for letter in state["letters"].reshape(len(names))]
        counts = (
            [int(count) for count in state["shares"]] if job.regions or job.mirror or job.grid or job.scraps else None
        )
        if counts is not None and (len(counts), sum(counts)) != (len(job.regions) + bool(job.count), len(names)):
            raise ValueError("it has other regions")
        width, height = (int(side) for side in state["canvas"])
        return Checkpoint(
            state,
            names,
            weights,
            letters,
            counts,
            Findings.of(state),
            (width, height),
            str(state["background"]),
            Placement.of(state),
        )


@contextmanager
def must_fit(path: Path) -> Iterator[None]:
    """Within, what a damaged checkpoint makes fail becomes a SmaltiError, code ``"bad_checkpoint"``."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as fault:
        raise SmaltiError(f"{path}: does not fit its job ({fault}).", RESTART, "bad_checkpoint") from fault
