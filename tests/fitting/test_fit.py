# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit of a still: how close it comes, also with unusual pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import arrays_of, decibels, pixels_of, ramp, resized, save, small_job

from smalti.engine.job.run import run_job
from smalti.engine.templates import Template, load_templates

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_loss_falls_and_the_picture_comes_to_resemble_its_target(
    ramp_file: Path, templates: list[Template]
) -> None:
    losses: list[float] = []
    composition = quick(ramp_file, templates, steps=150, progress=lambda done, total, loss: losses.append(loss))
    assert len(losses) == 150
    assert np.mean(losses[-5:]) < losses[0] / 5
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 25


def test_more_sprites_come_closer(ramp_file: Path, templates: list[Template]) -> None:
    few, many = (drawn(quick(ramp_file, templates, count=count)) for count in (5, 100))
    target = pixels_of(ramp_file)
    assert decibels(many, target) > decibels(few, target) + 3


@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_every_number_is_in_its_range(ramp_file: Path, templates: list[Template], space: str, mix: float) -> None:
    composition = quick(ramp_file, templates, steps=30, blend_space=space, colour_mix=mix, background="#808080")
    assert composition.header.colour_mix == mix
    assert composition.header.blend_space == space
    for name in ("x", "y", "scale", "aspect", "theta", "opacity", "tint"):
        values = getattr(composition, name)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert composition.scale.min() > 0
    assert 0 <= composition.opacity.min() <= composition.opacity.max() <= 1
    assert 0 <= composition.tint.min() <= composition.tint.max() <= 1
    assert set(composition.template.tolist()) <= {0, 1}


@pytest.mark.slow
def test_linear_blending_fits_as_well_as_srgb(ramp_file: Path, templates: list[Template]) -> None:
    """Over three seeds: one alone is off by a decibel either way."""
    goal = pixels_of(ramp_file)

    def quality(space: str) -> float:
        fits = (quick(ramp_file, templates, count=40, steps=80, blend_space=space, seed=seed) for seed in range(3))
        return float(np.mean([decibels(drawn(composition), goal) for composition in fits]))

    assert quality("linear") > quality("srgb") - 2


# Unusual pictures.


@pytest.mark.parametrize(
    ("width", "height", "settings"),
    [
        (16, 16, {}),
        (16, 16, {"count": 1}),
        (400, 16, {}),
        (16, 400, {"blend_space": "linear"}),
        (4, 17, {"count": 3}),
        (32, 32, {"count": 2000, "steps": 5}),
    ],
)
def test_small_and_narrow_canvases_are_rebuilt(
    templates: list[Template], tmp_path: Path, width: int, height: int, settings: dict[str, Any]
) -> None:
    target = save(tmp_path / "target.png", ramp(width, height))
    composition = quick(target, templates, **settings)
    assert (composition.header.width, composition.header.height) == (width, height)
    blank = np.broadcast_to(pixels_of(target).mean(axis=(0, 1)), (height, width, 4))
    assert decibels(drawn(composition), pixels_of(target)) > decibels(blank, pixels_of(target))


def test_one_sprite_finds_the_one_thing_that_is_there(templates: list[Template], tmp_path: Path) -> None:
    y, x = np.mgrid[0:64, 0:64]
    pixels = np.full((64, 64, 3), 20, np.uint8)
    pixels[np.hypot(x - 40, y - 24) < 14] = (250, 220, 60)
    target = save(tmp_path / "spot.png", pixels)
    off = []
    for seed in range(4):
        composition = quick(target, templates[1:], count=1, steps=150, background="#141414", seed=seed)
        off.append(float(np.hypot(composition.x - 40, composition.y - 24).max()))
    # From too far away there is no gradient to follow; one of four starts near enough.
    assert min(off) < 3


def test_a_single_pixel_serves_as_a_bitmap(ramp_file: Path, tmp_path: Path) -> None:
    pixel = load_templates(save(tmp_path / "pixel.png", np.full((1, 1, 4), 255, np.uint8)))
    composition = quick(ramp_file, pixel, steps=100)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 20


@pytest.mark.parametrize("mode", ["L", "L16", "1"])
def test_a_gray_target_is_rebuilt_in_gray(templates: list[Template], tmp_path: Path, mode: str) -> None:
    gray = np.tile(np.linspace(30, 220, 64).astype(np.uint8), (48, 1))
    if mode == "1":
        gray = np.where(gray > 120, 255, 0).astype(np.uint8)
    target = save(tmp_path / "gray.png", gray.astype(np.uint16) * 257 if mode == "L16" else gray)
    image = drawn(quick(target, templates, steps=100))[..., :3]
    assert np.ptp(image, axis=2).mean() < 0.06
    assert abs(image.mean(axis=2) - gray / 255).mean() < 0.1


def test_a_flat_target_is_matched_to_the_level(templates: list[Template], tmp_path: Path) -> None:
    target = save(tmp_path / "flat.png", np.full((40, 40, 3), (90, 60, 200), np.uint8))
    assert decibels(drawn(quick(target, templates)), pixels_of(target)) > 35


# Detailed pictures.


@pytest.mark.slow
@pytest.mark.parametrize("mix", [0.0, 0.6])
@pytest.mark.parametrize("bitmaps_of", ["primitives", "studio"])
def test_a_detailed_picture_is_plainly_recognized(tmp_path: Path, bitmaps_of: str, mix: float) -> None:
    file = EXAMPLES / "target" / "lighthouse.png"
    job = small_job(
        tmp_path,
        target=str(file),
        primitives=str(EXAMPLES / bitmaps_of),
        size=256,
        count=400,
        steps=150,
        colour_mix=mix,
    )
    run_job(job, tmp_path / "job")
    shown = pixels_of(tmp_path / "job" / "render.png")
    target = resized(pixels_of(file), shown.shape[1], shown.shape[0])
    assert decibels(shown, target) > 17
    likeness = np.corrcoef(shown[..., :3].ravel(), target[..., :3].ravel())[0, 1]
    assert likeness > 0.75
    assert np.isfinite(arrays_of(tmp_path / "job")["x"]).all()
