# SPDX-License-Identifier: GPL-3.0-or-later
"""Grids: tiles of one size over the whole canvas, each with the bitmap that suits its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import arrays_of, film, save, small_job
from runs import refused, same_result, stopped

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.engine.composition import load_composition
from smalti.engine.fitting.tiles import TileCosts, TileSettings
from smalti.engine.job.inputs import read_inputs
from smalti.engine.job.run import resume_job, run_job


def photographs(folder: Path, number: int = 60) -> Path:
    """Bitmaps of several shapes, each with a color of its own and lighter above."""
    rng = np.random.default_rng(1)
    for index in range(number):
        height, width = rng.integers(24, 60, 2)
        light = np.linspace(40, -40, height)[:, None, None]
        rgb = np.clip(rng.integers(0, 255, 3) + light + rng.normal(0, 4, (height, width, 3)), 0, 255)
        save(folder / f"{index:02}.png", rgb.astype(np.uint8))
    return folder


def grid_job(folder: Path, **settings: Any) -> JobSpec:
    usual = {"primitives": str(photographs(folder / "photographs")), "grid": "8x5", "colour_mix": 0.8, "steps": 8}
    return small_job(folder, **{**usual, **settings})


def test_tiles_of_one_size_cover_the_canvas_without_gaps(tmp_path: Path) -> None:
    report = run_job(grid_job(tmp_path, background="#00ff00"), tmp_path / "job").report
    assert report["sprites"] == 40
    composition = load_composition(tmp_path / "job")
    for name in ("scale", "aspect", "theta", "opacity"):
        assert np.ptp(getattr(composition, name)) == 0
    assert composition.opacity.min() == 1
    assert {(t.width, t.height) for t in composition.templates} == {(12 * 4 + 2, round(12.8 * 4) + 2)}
    cells = np.stack([composition.x[0] // 12, composition.y[0] // 12.8], axis=1)
    assert len(np.unique(cells, axis=0)) == 40
    assert report["legibility"]["bare"] < 0.01


def test_tiles_stay_where_they_are_while_tints_change(tmp_path: Path) -> None:
    fitting = read_inputs(grid_job(tmp_path, colour_mix=0.5)).fitting()
    before = fitting.result()
    while not fitting.finished:
        fitting.step()
    after = fitting.result()
    for name in ("template", "x", "y", "scale", "theta", "opacity"):
        np.testing.assert_array_equal(before[name], after[name])
    assert (before["tint"] != after["tint"]).any()


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_each_bitmap_once_and_copies_apart(tmp_path: Path, jitter: float) -> None:
    free = run_job(grid_job(tmp_path, grid_jitter=jitter), tmp_path / "free").report
    once = run_job(grid_job(tmp_path, grid_jitter=jitter, max_uses=1), tmp_path / "once").report
    assert np.bincount(arrays_of(tmp_path / "free")["template"]).max() > 1
    assert np.bincount(arrays_of(tmp_path / "once")["template"]).max() == 1
    assert once["psnr"] <= free["psnr"]
    run_job(grid_job(tmp_path, grid_jitter=jitter, min_distance=30.0, mirror=True), tmp_path / "apart")
    arrays = arrays_of(tmp_path / "apart")
    place = arrays["x"][0] + 1j * arrays["y"][0].astype(np.float64)
    away = np.abs(place[:, None] - place) + np.where(np.eye(len(place)), np.inf, 0)
    bitmap = arrays["template"] % 60
    assert away[bitmap[:, None] == bitmap].min() >= 30


def test_more_of_a_free_color_comes_nearer_to_the_target(tmp_path: Path) -> None:
    figures = [run_job(grid_job(tmp_path, colour_mix=mix), tmp_path / f"{mix}").report["psnr"] for mix in (1, 0.8, 0.4)]
    assert figures == sorted(figures)
    assert figures[-1] > figures[0] + 1


def test_a_resumed_grid_and_a_film_keep_their_bitmaps(tmp_path: Path) -> None:
    job = grid_job(tmp_path, target=str(film(tmp_path / "film")), max_uses=1, mirror=True)
    run_job(job, tmp_path / "whole")
    assert len(load_composition(tmp_path / "whole").x) == 3
    stopped(job, tmp_path / "half", 5)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")


def test_a_cut_out_has_tiles_where_it_is(tmp_path: Path) -> None:
    rgba = np.full((64, 96, 4), 120, np.uint8)
    rgba[:, 48:, 3] = 0
    rgba[:, :48, 3] = 255
    target = save(tmp_path / "half.png", rgba)
    assert run_job(grid_job(tmp_path, target=str(target)), tmp_path / "job").report["sprites"] == 20


def test_the_error_that_chooses_bitmaps_is_that_of_the_picture() -> None:
    rng = np.random.default_rng(2)
    wanted, bitmaps = (rng.uniform(0.2, 0.8, (number, 50, 3)).astype(np.float32) for number in (7, 9))
    costs = TileCosts(wanted, bitmaps, 0.7, 0.0, TileSettings())
    template = rng.integers(0, 9, 7)
    shown = 0.7 * bitmaps[template] + 0.3 * costs.tints(template)[:, None]
    direct = ((shown - wanted) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(costs.at(np.arange(7))[np.arange(7), template], direct, rtol=0.02)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grid": "40"}, "grid is '40', but must be columns x rows, such as 40x30, each from 1 to 1000."),
        ({"grid": "0x4"}, "but must be columns x rows"),
        ({"min_size": 4.0}, "min_size is 4.0, but must be left out with grid, which says where sprites are"),
        ({"text": "a"}, "grid is '8x5', but must be left out where a text is given."),
        ({"grid": None, "grid_jitter": 0.5}, "grid_jitter is 0.5, but must be left out without grid."),
        ({"max_uses": 1, "grid": "9x9"}, "81 sprites cannot be made of 60 bitmaps with max_uses 1"),
        ({"min_distance": 150.0, "grid": "9x9"}, "min_distance is 150.0, but must be smaller"),
    ],
)
def test_what_does_not_go_with_a_grid(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    fault = refused(lambda: run_job(grid_job(tmp_path, **settings), tmp_path / "job"))
    assert words in str(fault)


def test_regions_do_not_go_with_a_grid(tmp_path: Path) -> None:
    mask = str(save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8)))
    fault = refused(lambda: run_job(grid_job(tmp_path, regions=(RegionSpec(mask, 3),)), tmp_path / "job"))
    assert "left out with grid" in str(fault)
