# SPDX-License-Identifier: GPL-3.0-or-later
"""Films hold together: sprites follow what they show, stay where nothing happens, and never leap."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import bitmaps, decibels, pixels_of, save
from moving import painting, panned, turned

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.engine.arrays import Float32Array
from smalti.engine.fitting.coherence.continuity import Continuity, ContinuitySettings
from smalti.engine.fitting.coherence.follow import FollowSettings, followed
from smalti.engine.fitting.fit import Fit
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import run_job
from smalti.engine.motion import flow_between, grey
from smalti.engine.motion.measures import FilmMeasures
from smalti.engine.raster import Scene, build_atlas, pixel_weights
from smalti.engine.sprites import Sprites
from smalti.engine.templates import Template

SETTINGS: dict[str, Any] = {"count": 150, "steps": 60, "frame_steps": 25, "seed": 3}


def film(folder: Path, frames: list[Float32Array]) -> Path:
    for number, frame in enumerate(frames, 1):
        save(folder / f"{number:02d}.png", np.rint(255 * frame[..., :3]).astype(np.uint8))
    return folder


def measured(composition: Any, folder: Path) -> dict[str, float]:
    """What could be measured."""
    measures = FilmMeasures()
    for frame, path in enumerate(sorted(folder.iterdir())):
        picture = drawn(composition, frame)
        measures.add(pixels_of(path), picture, composition.sprites(frame))
    return {name: value for name, value in measures.as_json().items() if value is not None}


def discs(count: int) -> tuple[Sprites, Scene[Any]]:
    """Opaque sprites side by side, and their scene."""
    rng = np.random.default_rng(0)
    height, width = painting().shape[:2]
    y, x = (g.ravel() for g in np.mgrid[12 : height - 12 : 9, 12 : width - 12 : 9].astype(np.float64))
    chosen = rng.permutation(len(x))[:count]
    ones = np.ones(count)
    sprites = Sprites(
        np.zeros(count, np.int32), x[chosen], y[chosen], 6 * ones, 0 * ones, rng.uniform(-3, 3, count), ones,
        rng.uniform(0, 1, (count, 3)),
    )  # fmt: skip
    soft = np.ones((16, 16, 4), np.float32)
    atlas = build_atlas([soft])
    scene = Scene(
        sprites.affine(np.array([[16.0, 16.0]])), sprites.opacity, sprites.tint, sprites.template, atlas,
        (height, width),
    )  # fmt: skip
    return sprites, scene


@pytest.mark.parametrize(
    ("angle", "zoom", "shift"), [(0.0, 1.0, (2.6, -1.4)), (0.04, 1.0, (0.0, 0.0)), (0.0, 1.03, (0.0, 0.0))]
)
def test_sprites_follow_a_pan_a_turn_and_a_zoom(angle: float, zoom: float, shift: tuple[float, float]) -> None:
    sprites, scene = discs(60)
    before = painting()
    now = panned(turned(before, angle, zoom), shift)
    found = followed(sprites, pixel_weights(scene), flow_between(grey(before), grey(now)), FollowSettings())
    height, width = before.shape[:2]
    x, y = sprites.x - width / 2, sprites.y - height / 2
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    expected_x = cosine * x - sine * y + width / 2 + shift[0]
    expected_y = sine * x + cosine * y + height / 2 + shift[1]
    assert np.median(np.hypot(found.x - expected_x, found.y - expected_y)) < 0.3
    assert np.median(np.abs(found.theta - sprites.theta - angle)) < 0.02
    assert np.median(np.abs(found.scale / sprites.scale / zoom - 1)) < 0.02


def test_a_repeated_frame_moves_nothing(templates: list[Template], tmp_path: Path) -> None:
    frames = [painting(), panned(painting(), (1.5, 0.0))]
    folder = film(tmp_path / "film", [frames[0], frames[1], frames[1], frames[1]])
    found = quick(folder, templates, **SETTINGS)
    for name in ("x", "y", "scale", "theta", "opacity", "tint"):
        values = getattr(found, name)
        assert (values[1] != values[0]).any(), name
        np.testing.assert_array_equal(values[3], values[2], name)


def test_a_film_flickers_less_than_by_a_warm_start_and_still_responds(
    templates: list[Template], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    noisy = [np.clip(painting() + rng.normal(0, 0.008, painting().shape), 0, 1).astype(np.float32) for _ in range(4)]
    for frame in noisy:
        frame[30:50, 40:70] = 0.2
    noisy[2][30:50, 40:70] = noisy[3][30:50, 40:70] = (0.9, 0.8, 0.1, 1)
    folder = film(tmp_path / "film", noisy)
    warm, held = (measured(quick(folder, templates, coherence=c, **SETTINGS), folder) for c in (0.0, 1.0))
    assert held["flicker"] < 0.5 * warm["flicker"]
    assert held["response"] > 0.6 * warm["response"]
    assert held["pops"] < 2


def test_the_frame_after_a_cut_is_fitted_like_a_first_one(templates: list[Template], tmp_path: Path) -> None:
    scenes = [painting(), painting(), 1 - painting(seed=9)]
    scenes[2][..., 3] = 1
    folder = film(tmp_path / "film", scenes)
    found = quick(folder, templates, **SETTINGS)
    alone = quick(folder / "03.png", templates, **SETTINGS)
    target = pixels_of(folder / "03.png")
    assert decibels(drawn(found, 2), target) > decibels(drawn(alone), target) - 1.0


def fit_of(folder: Path, primitives: Path, **settings: Any) -> Fit:
    job = JobSpec(target=str(folder), primitives=(str(primitives),), **{**SETTINGS, **settings})
    return read_inputs(job.checked()).fitting()


def test_a_fit_goes_on_from_any_step_to_the_same_bits(tmp_path: Path) -> None:
    primitives = bitmaps(tmp_path / "bitmaps")
    frames = [panned(painting(), (2.0 * i, 0.0)) for i in range(3)] + [painting(seed=9)]
    frames[2][20:60, 20:60] = 0.9
    folder = film(tmp_path / "film", frames)
    small = {"count": 60, "steps": 20, "frame_steps": 10}
    through = fit_of(folder, primitives, **small)
    states = []
    while not through.finished:
        if through.frame and through.optimiser.done % 5 == 1:
            states.append(through.state())
        through.step()
    expected = through.result()
    assert len(states) > 5
    for state in states[::2]:
        again = fit_of(folder, primitives, **small)
        again.restore(state)
        while not again.finished:
            again.step()
        for name, values in again.result().items():
            np.testing.assert_array_equal(values, expected[name], name)


def test_nothing_leaps_beyond_what_is_allowed() -> None:
    sprites, _ = discs(20)
    settings = ContinuitySettings()
    dying = np.arange(20) == 4
    far = replace(sprites, x=sprites.x + 40, scale=3 * sprites.scale, opacity=0 * sprites.opacity)
    kept = Continuity(sprites, sprites, settings, dying).kept(far)
    np.testing.assert_allclose(kept.x - sprites.x, settings.leap)
    np.testing.assert_allclose(kept.scale / sprites.scale, settings.growth)
    np.testing.assert_allclose(kept.opacity, 1 - settings.fade)
    back = Continuity(sprites, sprites, settings).kept(sprites)
    np.testing.assert_array_equal(back.x, sprites.x)


def test_without_opencv_a_film_is_refused_before_its_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, primitives = film(tmp_path / "film", [painting(), painting()]), bitmaps(tmp_path / "bitmaps")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SmaltiError, match="OpenCV") as caught:
        run_job(JobSpec(target=str(folder), primitives=(str(primitives),), **SETTINGS), tmp_path / "job")
    assert caught.value.code == "no_opencv"
    assert not (tmp_path / "job").exists()
    small = {**SETTINGS, "count": 20, "steps": 3, "frame_steps": 2, "coherence": 0.0}
    report = run_job(JobSpec(target=str(folder), primitives=(str(primitives),), **small), tmp_path / "job").report
    assert report["frames"] == 2
    assert report["film"]["flicker"] is None
