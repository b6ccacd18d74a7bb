# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporal term joins a fit by one class and its rows: each frame of a film is compared with the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import Floats, pixels_of, ramp, save, slow, small_job
from runs import same_result, stopped

from smalti.bridge import loss as bridge_loss
from smalti.bridge.loss import TermInfo
from smalti.engine.arrays import Float32Array
from smalti.engine.composition import Composition
from smalti.engine.composition.render import render
from smalti.engine.fitting.objective.losses import TERMS, Comparison, Needs, Objective, Term
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template

CUT = 2
"""The frame, from 0, before which the film has a cut."""
STEPS: dict[str, Any] = {"steps": 20, "frame_steps": 15}


class Stillness:
    """Squared difference from the frame before.

    Attributes:
        previous: the frame before or None, at each step of every fit so far.
    """

    previous: list[Comparison | None]

    def __init__(self, objective: Objective) -> None:
        pass

    def __call__(self, pictures: Comparison) -> tuple[float, Float32Array]:
        self.previous.append(pictures.previous)
        if pictures.previous is None:
            return 0.0, np.zeros_like(pictures.rendered)
        change = pictures.rendered - pictures.previous.rendered
        return float((change**2).mean()), (2 * change / change.size).astype(np.float32)


@pytest.fixture
def stillness(monkeypatch: pytest.MonkeyPatch) -> type[Stillness]:
    """The term, in both tables."""
    monkeypatch.setattr(Stillness, "previous", [], raising=False)
    monkeypatch.setitem(bridge_loss.TERMS, "stillness", TermInfo("change from frame to frame"))
    monkeypatch.setitem(TERMS, "stillness", Term(1.0, needs=Needs.PREVIOUS, create=Stillness))
    return Stillness


@pytest.fixture(scope="module")
def grainy_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of one scene and two of another, with coarse grain that is new in each frame."""
    folder = tmp_path_factory.mktemp("grainy")
    rng = np.random.default_rng(0)
    for frame in range(4):
        scene = ramp(64, 48) if frame < CUT else ramp(64, 48)[::-1, ::-1]
        grain = rng.normal(0, 60, (6, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
        save(folder / f"{frame}.png", np.clip(scene + grain, 0, 255).astype(np.uint8))
    return folder


def planes(picture: Floats) -> Float32Array:
    """[h, w, 4] -> [3, h, w]."""
    return picture[..., :3].astype(np.float32).transpose(2, 0, 1)


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_later_frames_of_a_scene_are_compared_with_the_finished_frame_before(
    stillness: type[Stillness], grainy_film: Path, templates: list[Template], space: str
) -> None:
    composition = quick(grainy_film, templates, loss="mse+stillness", blend_space=space, background="#404040", **STEPS)
    steps = [STEPS["steps" if frame in (0, CUT) else "frame_steps"] for frame in range(4)]
    frame_of_step = [frame for frame in range(4) for _ in range(steps[frame])]
    assert len(stillness.previous) == len(frame_of_step)
    for frame, previous in zip(frame_of_step, stillness.previous, strict=True):
        if frame in (0, CUT):
            assert previous is None
            continue
        assert previous is not None
        goal = planes(pixels_of(grainy_film / f"{frame - 1}.png"))
        np.testing.assert_allclose(previous.goal, goal, rtol=0, atol=1e-4)
        shown = planes(drawn(composition, frame - 1))
        np.testing.assert_allclose(previous.rendered, shown, rtol=0, atol=0.01)


def test_a_term_that_does_not_need_the_frame_before_is_not_given_it(
    stillness: type[Stillness], grainy_film: Path, templates: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TERMS, "stillness", Term(1.0, create=Stillness))
    quick(grainy_film, templates, loss="mse+stillness", steps=2, frame_steps=2)
    assert stillness.previous == [None] * 8


def change_of(composition: Composition) -> float:
    """Mean squared change of the picture from frame to frame within a scene."""
    pictures = [render(composition, frame)[..., :3] for frame in range(4)]
    return float(np.mean([np.square(pictures[i] - pictures[i - 1]).mean() for i in (1, 3)]))


@pytest.mark.parametrize("background", ["#404040", "transparent"])
def test_a_temporal_term_lowers_the_change_from_frame_to_frame(
    stillness: type[Stillness], grainy_film: Path, templates: list[Template], background: str
) -> None:
    steady, free = (
        change_of(quick(grainy_film, templates, loss=loss, background=background, **STEPS))
        for loss in ("mse+stillness", "mse")
    )
    assert 0 < steady < 0.7 * free


@pytest.mark.parametrize("after", [slow(24), 40, slow(64)])
def test_a_resumed_job_has_the_same_frame_before(
    stillness: type[Stillness], grainy_film: Path, tmp_path: Path, after: int
) -> None:
    """Stopped in the second frame, in the one after the cut, and in the last."""
    job = small_job(tmp_path, target=str(grainy_film), loss="l1+stillness", **STEPS)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", after)
    resume_job(tmp_path / "job")
    assert same_result(tmp_path / "whole", tmp_path / "job")
