# SPDX-License-Identifier: GPL-3.0-or-later
"""Legibility: pictures whose bitmaps are plain to see score high, heaps of faint ones low, and never by the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compositions import HEIGHT, WIDTH, composition, grid, letters, scattered, target
from jobs import film, ramp, save, small_job

from smalti.engine import load_composition, measure_legibility, picture, run_job
from smalti.engine.job.legibility import MOST_PIXELS, SAMPLE, Legibility, cuts, sheets
from smalti.engine.job.legibility.cuts import REACH, SIDE, cuts_at
from smalti.engine.job.legibility.stack import Stack
from smalti.engine.raster import draw
from smalti.engine.raster.geometry import affine_maps
from smalti.engine.templates import Template
from smalti.engine.templates.margin import with_margin


def stripes(degrees: float) -> Template:
    """An opaque stamp: stripes of two colors at some angle."""
    y, x = np.mgrid[0:40, 0:40] - 19.5
    across = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    pixels = np.where((np.sin(across / 2.5) > 0)[..., None], (240, 200, 60, 255), (30, 60, 150, 255))
    return Template(f"stripes{degrees:g}", with_margin(pixels.astype(np.uint8)))


def test_opaque_letters_side_by_side_are_legible() -> None:
    found = measure_legibility(composition(letters(), **grid(), theta=0.4), target())
    assert found.mixed == pytest.approx(1, abs=0.05)  # the letters' soft edges let the background through
    assert found.owned == pytest.approx(1, abs=1e-3)
    assert found.layers == pytest.approx(1, abs=0.02)
    assert found.visible > 0.98
    assert (found.opacity, found.opacity_95, found.opacity_99) == (1, 1, 1)
    assert found.recognized > 0.97
    assert found.legibility > 0.95
    assert found.sample == 48


def test_stamps_of_one_outline_differ_by_their_own_colors() -> None:
    stamps = [stripes(angle) for angle in (0, 45, 90, 135)]
    found = measure_legibility(composition(stamps, **grid(), colour_mix=0.6, theta=0.3), target())
    assert found.legibility > 0.95
    assert (found.mixed, found.owned, found.layers) == pytest.approx((1, 1, 1), abs=1e-3)


def test_bitmaps_that_look_the_same_do_not_count_against_each_other() -> None:
    stamps = [stripes(angle) for angle in (0, 45, 90, 135)]  # tinted, they are four squares
    assert measure_legibility(composition(stamps, **grid(), theta=0.3), target()).legibility > 0.95


def test_thousands_of_faint_ones_over_each_other_are_not_legible() -> None:
    found = measure_legibility(composition(letters(), **scattered(3000), opacity=0.1), target())
    assert found.legibility < 0.25
    assert found.owned < 0.01
    assert found.mixed > 5
    assert found.layers > 5
    assert found.visible < 0.1
    assert found.opacity == pytest.approx(0.1)
    assert found.opacity_95 == found.opacity_99 == 0


def test_fainter_sprites_are_less_legible() -> None:
    scores = [
        measure_legibility(composition(letters(), **scattered(500), opacity=opacity), target())
        for opacity in (1.0, 0.6, 0.2)
    ]
    assert scores[0].owned > scores[1].owned > scores[2].owned
    assert scores[0].mixed < scores[1].mixed < scores[2].mixed


def test_what_the_target_has_is_taken_away() -> None:
    shown = composition(letters(), **grid(), theta=0.4)
    found = measure_legibility(shown, picture(shown))
    assert found.control == found.recognized > 0.95
    assert found.legibility == 0


def test_half_of_it_in_the_target_leaves_the_other_half() -> None:
    shown = composition(letters(), **grid(), theta=0.4)
    pixels = picture(shown)
    pixels[:, : WIDTH // 2] = target()[:, : WIDTH // 2]
    found = measure_legibility(shown, pixels)
    assert 0.4 < found.control < 0.65
    assert found.legibility > 0.9


def test_the_same_composition_has_the_same_figures(tmp_path: Path) -> None:
    shown = composition(letters(), **scattered(500), opacity=0.7)
    first = measure_legibility(shown, target())
    assert first.sample == SAMPLE
    assert measure_legibility(shown, target()) == first
    shown.save(tmp_path / "job")
    path = save(tmp_path / "target.png", ramp(WIDTH, HEIGHT))
    assert measure_legibility(load_composition(tmp_path / "job"), path) == first


def test_bare_is_what_sprites_leave_of_what_the_target_has() -> None:
    tile = Template("tile", with_margin(np.full((30, 30, 4), 255, np.uint8)))
    left_half = composition([tile], x=[WIDTH / 4], y=HEIGHT / 2, scale=HEIGHT / 2 * 32 / 30)
    width = HEIGHT / 2 + WIDTH / 4  # from the left edge
    assert measure_legibility(left_half, target()).bare == pytest.approx(1 - width / WIDTH, abs=0.01)
    cut_out = target()
    cut_out[:, int(width) :, 3] = 0
    assert measure_legibility(left_half, cut_out).bare < 0.005


def test_bare_counts_no_part_where_sprites_must_not_draw(tmp_path: Path) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :48] = 255
    report = run_job(
        small_job(tmp_path, keep_in=str(save(tmp_path / "mask.png", mask)), count=80, max_size=20.0), tmp_path / "job"
    ).report
    assert report["legibility"]["bare"] < 0.3


def test_sprites_too_small_to_be_recognized_are_not_looked_for() -> None:
    found = measure_legibility(composition(letters(), **grid(), scale=5), target())
    assert found.sample == 0
    assert found.as_json()["legibility"] is None
    assert found.owned > 0.9


def test_an_empty_canvas_has_nothing_to_measure() -> None:
    cases: tuple[dict[str, Any], ...] = ({"x": [-100.0, 900.0]}, {"x": [50.0, 60.0], "opacity": 0})
    for sprites in cases:
        figures = measure_legibility(composition(letters(), **sprites), target()).as_json()
        assert figures == dict.fromkeys(figures) | {"bare": 1.0, "sample": 0}


def test_visible_is_the_fraction_that_visibility_constrains() -> None:
    tile = Template("tile", with_margin(np.full((30, 30, 4), 255, np.uint8)))
    # The second hides the left half of the first; the third lies half off the canvas.
    shown = composition([tile], x=[100, 84, 0], y=[100, 100, 200], scale=16)
    assert measure_legibility(shown, target()).visible == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("background", ["#808080", "transparent"])
def test_a_film_is_measured_frame_by_frame(background: str) -> None:
    places: dict[str, Any] = {name: np.stack([values, values]) for name, values in grid().items()}
    opacity = np.stack([np.ones(48), np.full(48, 0.3)])
    shown = composition(letters(), **places, opacity=opacity, background=background)
    first, second = (measure_legibility(shown, target(), frame) for frame in (0, 1))
    assert first.opacity == 1
    assert second.opacity == pytest.approx(0.3)
    assert first == measure_legibility(shown, target())
    with pytest.raises(IndexError):
        measure_legibility(shown, target(), 2)


def test_the_report_of_a_film_has_the_figures_of_its_first_frame(tmp_path: Path) -> None:
    frames = film(tmp_path / "film")
    job = small_job(tmp_path, target=str(frames), count=12, min_size=14.0)
    report = run_job(job, tmp_path / "job").report["legibility"]
    assert report == json.loads((tmp_path / "job" / "report.json").read_text())["legibility"]
    assert report == measure_legibility(load_composition(tmp_path / "job"), frames / "01.png").as_json()
    assert report["sample"] > 0


def test_a_stopped_job_is_measured_too(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path), tmp_path / "job", should_stop=iter([False, True]).__next__)
    assert outcome.cancelled
    assert set(outcome.report["legibility"]) == set(Legibility.__dataclass_fields__)


# What it costs.


def test_a_large_canvas_is_measured_at_a_smaller_size() -> None:
    small = grid()
    large = {name: values * 5 for name, values in small.items()}
    assert 25 * WIDTH * HEIGHT > 1.9 * MOST_PIXELS
    there = measure_legibility(composition(letters(), (5 * WIDTH, 5 * HEIGHT), **large, scale=80), target())
    here = measure_legibility(composition(letters(), **small), target())
    assert there.legibility == pytest.approx(here.legibility, abs=0.05)
    assert there.bare == pytest.approx(here.bare, abs=0.03)


def test_the_cost_is_one_small_picture_for_each_sprite_and_a_bounded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    cut: list[int] = []
    sampled = cuts._sampled

    def counted_draw(scene: Any, back_end: str) -> Any:
        drawn.append(scene.size[0] * scene.size[1])
        return draw(scene, back_end)

    def counted_cuts(picture: Any, depth: int, back: Any, *rest: Any) -> Any:
        cut.append(len(back))
        return sampled(picture, depth, back, *rest)

    monkeypatch.setattr(sheets, "draw", counted_draw)
    monkeypatch.setattr(cuts, "_sampled", counted_cuts)
    count = 2000
    measure_legibility(composition(letters(), **scattered(count)), target())
    assert sum(cut) == 2 * SAMPLE  # in the picture, and in the target
    assert max(drawn) <= sheets.PIXELS
    box = (2 * (16 * 2**0.5 + 3)) ** 2
    assert sum(drawn) < 1.4 * count * box
    assert len(drawn) < 1.5 * count * box / sheets.PIXELS + 2


def test_a_sprite_much_larger_than_the_canvas_is_drawn_on_the_canvas_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def watched(scene: Any, back_end: str) -> Any:
        sizes.append(scene.size)
        return draw(scene, back_end)

    monkeypatch.setattr(sheets, "draw", watched)
    tile = Template("tile", with_margin(np.full((30, 30, 4), 255, np.uint8)))
    places: dict[str, Any] = {"x": [100, 100, 40], "y": [100, 100, 40], "scale": [50_000, 20, 20]}
    found = measure_legibility(composition([tile], **places), target())
    assert sizes[0][0] < 60
    assert sizes[1] == (HEIGHT, WIDTH)
    assert (found.bare, found.owned) == (0, 1)
    assert found.layers == pytest.approx(1 + 2 * (40 * 30 / 32) ** 2 / (WIDTH * HEIGHT), rel=0.05)


# The parts.


@pytest.mark.parametrize(("scale", "aspect"), [(5, 0.0), (14, 0.7), (40, 0.0), (20, -2.5)])
def test_a_cut_is_the_mean_of_the_picture_over_its_texels(scale: float, aspect: float) -> None:
    y, x = np.mgrid[0:200, 0:240] + 0.5
    plane = np.dstack([x, y, np.ones_like(x), x + y]).astype(np.float32)
    theta = np.array([0.0, 0.9, 2.2])
    center = np.full(3, 120.0), np.full(3, 95.0)
    affine = affine_maps(*center, np.full(3, scale), np.full(3, aspect), theta, np.ones((3, 2)))
    found = cuts_at(plane, affine)
    assert (found.weight == 1).all()
    texel = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1) * REACH
    v, u = (axis.ravel() for axis in np.meshgrid(texel, texel, indexing="ij"))
    for k, angle in enumerate(theta):
        half = scale * np.exp(aspect / 2), scale * np.exp(-aspect / 2)
        across = 120 + np.cos(angle) * half[0] * u - np.sin(angle) * half[1] * v
        down = 95 + np.sin(angle) * half[0] * u + np.cos(angle) * half[1] * v
        np.testing.assert_allclose(found.values[0, k], across, atol=0.02)
        np.testing.assert_allclose(found.values[1, k], down, atol=0.02)


def test_what_lies_off_the_canvas_has_no_weight() -> None:
    zero = np.zeros(1)
    at_the_edge = affine_maps(zero, zero + 50, zero + 16, zero, zero, np.ones((1, 2)))
    found = cuts_at(np.ones((100, 100, 4), np.float32), at_the_edge)
    weight = found.weight.reshape(SIDE, SIDE)
    assert weight[:, : SIDE // 2 - 1].max() == 0
    assert weight[:, SIDE // 2 + 1 :].min() == 1
    np.testing.assert_allclose(found.values[:, found.weight > 0], 1, rtol=1e-5)


def test_weights_in_a_stack() -> None:
    stack = Stack(4, 4)
    full = np.ones((4, 4), np.float32)
    assert stack.add(0, 0, full, 0.5) == pytest.approx(8)
    assert stack.add(2, -1, full, 1.0) == pytest.approx(0.5 * 6)
    assert stack.add(4, 0, full, 1.0) is None
    found = stack.figures()
    assert found.owned == 0  # no weight is above one half
    assert found.mixed == pytest.approx(2)
    assert found.layers == pytest.approx(1 + 6 / 16)
    assert found.bare == 0
