# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of a film say what they promise of films that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from moving import painting, panned

from smalti.engine.arrays import Float32Array
from smalti.engine.motion.measures import FilmMeasures
from smalti.engine.sprites import Sprites

FRAMES = 5
PAN = 2.0


def target(frame: int) -> Float32Array:
    return panned(painting(), (PAN * frame, 0.0))


def sprites(frame: int = 0, pan: float = PAN) -> Sprites:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(20, 90, 40), rng.uniform(20, 70, 40)
    ones = np.ones(40)
    return Sprites(
        np.zeros(40, np.int32), x + pan * frame, y, 5 * ones, 0 * ones, 0 * ones, ones, np.full((40, 3), 0.5)
    )


def measured(renders: list[Float32Array], tracks: list[Sprites]) -> dict[str, float | None]:
    measures = FilmMeasures()
    for frame, (render, track) in enumerate(zip(renders, tracks)):
        measures.add(target(frame), render, track)
    return measures.as_json()


def value(found: dict[str, float | None], name: str) -> float:
    number = found[name]
    assert number is not None
    return number


def test_the_target_itself_is_calm_and_alive() -> None:
    found = measured([target(i) for i in range(FRAMES)], [sprites(i) for i in range(FRAMES)])
    assert found["flicker"] == found["target_flicker"]
    assert found["response"] == 1.0
    assert found["tof"] == 0.0
    assert found["psnr_changed"] == 100.0
    assert found["pops"] == 0.0
    assert value(found, "stick") < 0.1


def test_a_frozen_film_is_found_out() -> None:
    found = measured([target(0)] * FRAMES, [sprites()] * FRAMES)
    assert found["response"] == 0.0
    assert value(found, "psnr_changed") < 30
    assert value(found, "stick") > 0.9
    assert value(found, "tof") > 1


def test_noise_of_its_own_is_flicker() -> None:
    rng = np.random.default_rng(2)
    still = measured([target(i) for i in range(FRAMES)], [sprites(i) for i in range(FRAMES)])
    noisy = [np.clip(target(i) + rng.normal(0, 0.08, target(0).shape), 0, 1).astype(np.float32) for i in range(FRAMES)]
    assert value(measured(noisy, [sprites(i) for i in range(FRAMES)]), "flicker") > 3 * value(still, "flicker")


def test_leaps_growth_and_fades_are_pops() -> None:
    pictures = [target(0), target(1)]
    calm = sprites(1)
    for changes in (
        {"x": calm.x + 9 * (np.arange(40) == 3)},
        {"scale": calm.scale * np.where(np.arange(40) == 3, 1.6, 1)},
        {"opacity": calm.opacity - 0.4 * (np.arange(40) == 3)},
    ):
        found = measured(pictures, [sprites(), replace(calm, **changes)])
        assert found["pops"] == 25.0, changes.keys()
    unseen = replace(calm, x=calm.x + 30, opacity=np.full(40, 0.05))
    assert measured(pictures, [sprites(), unseen])["pops"] is None


def test_a_cut_is_no_flicker() -> None:
    other = painting(seed=7)
    measures = FilmMeasures()
    for frame in range(2):
        measures.add(target(frame), target(frame), sprites(frame))
    before = measures.as_json()
    measures.cut()
    measures.add(other, other, sprites())
    assert measures.as_json() == before


def test_measures_go_on_after_a_checkpoint() -> None:
    through, first, second = FilmMeasures(), FilmMeasures(), FilmMeasures()
    for frame in range(2):
        first.add(target(frame), target(0), sprites(frame))
    second.restore(first.state())
    assert not second.goes_on
    second.begin(target(1), target(0), sprites(1))
    for frame in range(4):
        through.add(target(frame), target(0), sprites(frame))
        if frame > 1:
            second.add(target(frame), target(0), sprites(frame))
    assert second.as_json() == through.as_json()
