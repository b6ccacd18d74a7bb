# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits with more templates than an atlas can hold whole: each is held at the size in which it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import alpha_outside, drawn, quick
from jobs import decibels, film, pixels_of, save
from numpy.testing import assert_array_equal
from PIL import Image
from runs import same_result, stopped

from smalti.bridge.job import JobSpec
from smalti.engine.composition import atlases, load_composition
from smalti.engine.composition.render import picture, sprite_bitmaps
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.raster.level_store import LevelStore
from smalti.engine.templates import Template, load_templates


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of 90 to 160 pixels, with and without transparency."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("many")
    for number in range(40):
        width, height = rng.integers(90, 160, 2).tolist()
        small = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
        if number % 3 == 0:
            y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            alpha = np.clip(255 * 8 * (0.9 - np.hypot(x, y)), 0, 255).astype(np.uint8)
            pixels = np.dstack([pixels, alpha])
        save(folder / f"{number}.png", pixels)
    return folder


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlases, "BUDGET", 2_000_000)
    monkeypatch.setattr("smalti.engine.raster.level_store.SPARE", 20_000)


def a_job(tmp_path: Path, folder: Path, **settings: Any) -> JobSpec:
    y, x = np.mgrid[0:72, 0:96]
    colors = np.stack([2 * x + 20, 3 * y, 255 - x - y], axis=-1).astype(np.uint8)
    colors[(x // 12 + y // 12) % 2 == 0] //= 2
    target = save(tmp_path / "target.png", colors)
    usual = {"primitives": str(folder), "count": 60, "steps": 40, "colour_mix": 0.5, "device": "cpu"}
    return JobSpec(**{"target": str(target), **usual, **settings})


def test_quality_is_that_of_whole_templates(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(tmp_path, folder, steps=100)
    whole = run_job(job, tmp_path / "whole").report["psnr"]
    monkeypatch.setattr(atlases, "BUDGET", 2_000_000)
    assert run_job(job, tmp_path / "parts").report["psnr"] > whole - 0.5


@pytest.mark.parametrize("settings", [{}, {"colour_mix": 1.0, "lock_rotation": True}, {"blend_space": "linear"}])
def test_the_same_seed_gives_the_same_bits_also_after_a_resume(
    tmp_path: Path, folder: Path, small_budget: None, settings: dict[str, Any]
) -> None:
    job = a_job(tmp_path, folder, **settings)
    run_job(job, tmp_path / "once")
    stopped(job, tmp_path / "again", after=23)
    resume_job(tmp_path / "again")
    assert same_result(tmp_path / "once", tmp_path / "again")


def test_a_film_is_resumed_to_the_same_end(tmp_path: Path, folder: Path, small_budget: None) -> None:
    job = a_job(tmp_path, folder, target=str(film(tmp_path / "film")), frame_steps=15, count=24)
    run_job(job, tmp_path / "once")
    stopped(job, tmp_path / "again", after=49)
    resume_job(tmp_path / "again")
    assert same_result(tmp_path / "once", tmp_path / "again")


def test_a_finished_job_is_rendered_again_to_the_same_bits(tmp_path: Path, folder: Path, small_budget: None) -> None:
    run_job(a_job(tmp_path, folder), tmp_path / "job")
    rendered = np.asarray(Image.open(tmp_path / "job" / "render.png"))
    composition = load_composition(tmp_path / "job")
    assert_array_equal(picture(composition), rendered)
    large = picture(composition, size=400)
    bitmaps = list(sprite_bitmaps(composition))  # in between, at another size
    assert_array_equal(picture(composition, size=400), large)
    assert len(bitmaps) == 60


def test_the_picture_is_that_of_whole_templates(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_job(a_job(tmp_path, folder), tmp_path / "job")
    whole = picture(load_composition(tmp_path / "job"), size=300).astype(int)
    monkeypatch.setattr(atlases, "BUDGET", 2_000_000)
    parts = picture(load_composition(tmp_path / "job"), size=300).astype(int)
    assert np.abs(whole - parts).mean() < 1.0
    assert (whole != parts).any()


def test_sprites_are_confined_all_the_same(tmp_path: Path, folder: Path, small_budget: None) -> None:
    inside = np.zeros((72, 96), np.uint8)
    inside[10:60, 12:80] = 255
    job = a_job(tmp_path, folder, keep_in=str(save(tmp_path / "mask.png", inside)), background="transparent")
    run_job(job, tmp_path / "job")
    assert max(alpha_outside(load_composition(tmp_path / "job"), inside / 255.0)) < 0.5


def test_few_templates_are_held_larger_than_the_sprites_that_use_them_need(
    tmp_path: Path, folder: Path, small_budget: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    original = LevelStore.atlas

    def atlas(self: LevelStore, halvings: Any) -> Any:
        found = original(self, halvings)
        held.append(found.texels.nbytes + found.alpha_quads.nbytes)
        return found

    monkeypatch.setattr(LevelStore, "atlas", atlas)
    templates: list[Template] = load_templates(folder)
    target = Path(a_job(tmp_path, folder).target)
    monkeypatch.setattr(atlases, "BUDGET", 400_000)
    composition = quick(target, templates, colour_mix=1.0, max_size=20)
    assert held
    assert max(held) < 3_000_000  # whole, they take 13 MB
    assert decibels(drawn(composition), pixels_of(target)) > 12
