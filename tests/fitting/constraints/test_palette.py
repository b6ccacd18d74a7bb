# SPDX-License-Identifier: GPL-3.0-or-later
"""A palette: every tint is one of its colors, and the fit makes up for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import PALETTE, colors_of, drawn, levels_of, quick
from jobs import decibels, film, pixels_of, save, small_job

from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.files.images import straight_from_premultiplied
from smalti.engine.fitting.constraints.appearance import oklab
from smalti.engine.fitting.constraints.palette import Palette, palette_colors
from smalti.engine.job.inputs import read_inputs
from smalti.engine.templates import Template


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps": 1},
        {"steps": 5},
        {"blend_space": "linear"},
        {"colour_mix": 0.6, "background": "transparent"},
        {"preset": "published"},
    ],
    ids=str,
)
def test_every_tint_is_a_color_of_the_palette(
    ramp_file: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    composition = quick(ramp_file, templates, palette=list(PALETTE), **{"background": "#808080", **settings})
    found = {tuple(levels) for levels in levels_of(composition)[0].tolist()}
    assert found <= colors_of(PALETTE)
    assert len(found) > 2


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_each_of_256_levels_comes_out_as_it_went_in(ramp_file: Path, templates: list[Template], space: str) -> None:
    grays = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    composition = quick(
        ramp_file, templates, palette=grays, blend_space=space, background="#808080", count=300, steps=6
    )
    levels = levels_of(composition)[0]
    assert (levels == levels[:, :1]).all()
    assert len(np.unique(levels)) > 60


@pytest.mark.slow
def test_the_fit_makes_up_for_its_palette(ramp_file: Path, templates: list[Template]) -> None:
    """Better than to fit freely and to take the nearest colors at the end."""
    target = pixels_of(ramp_file)
    chosen = quick(ramp_file, templates, palette=list(PALETTE), count=150, steps=150)
    free = quick(ramp_file, templates, count=150, steps=150)
    colors = np.array([tuple(bytes.fromhex(color[1:])) for color in PALETTE]) / 255
    distance = ((free.tint[0][:, None] - colors) ** 2).sum(axis=2)
    free.tint[0] = colors[distance.argmin(axis=1)]
    assert decibels(drawn(chosen), target) > decibels(drawn(free), target) + 1


def test_a_psds_layers_have_the_palettes_colors(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, palette=list(PALETTE), background="#808080")
    for sprite in sprite_bitmaps(composition):
        pixels = straight_from_premultiplied(sprite.rgba)
        assert {tuple(color) for color in pixels[pixels[..., 3] > 0][:, :3].tolist()} <= colors_of(PALETTE)


def test_a_films_sprites_keep_their_colors(tmp_path: Path, templates: list[Template]) -> None:
    composition = quick(film(tmp_path / "film"), templates, palette=list(PALETTE), frame_steps=8)
    levels = levels_of(composition)
    assert composition.frames == 3
    assert (levels == levels[0]).all()
    assert not (composition.x[1] == composition.x[0]).all()


# Which color.


def test_oklab_is_that_of_its_author() -> None:
    known = {(1, 1, 1): (1, 0, 0), (1, 0, 0): (0.628, 0.225, 0.126), (0, 0, 1): (0.452, -0.032, -0.312)}
    for color, expected in known.items():
        assert oklab(np.array(color, float)) == pytest.approx(expected, abs=1e-3)


def test_a_skin_in_shade_is_brown_and_not_green() -> None:
    """Green has nearly its red, green and blue."""
    palette = palette_colors(["#2a1d17", "#8a5a33", "#4f7a3a"], "srgb")
    shade = np.array([[0x64, 0x66, 0x38]]) / 255
    assert ((palette - shade) ** 2).sum(axis=1).argmin() == 2
    shade = np.array([[0x70, 0x60, 0x38]]) / 255
    assert Palette(palette, "srgb").nearest(shade)[0] == pytest.approx(palette[1])


def test_neighbors_of_one_gray_are_dark_and_light_by_its_share() -> None:
    palette = Palette(palette_colors(["#000000", "#ffffff"], "srgb"), "srgb")
    logits = palette.snapped(np.full((200, 3), -3.0))
    goal, cell, curvature = 0.45, np.arange(200) // 10, np.ones(200)
    for _ in range(40):
        tint = 1 / (1 + np.exp(-logits))
        logits = palette.better(logits, tint - goal, curvature, cell, np.ones(200))
    light = (logits[:, 0] > 0).reshape(20, 10).mean(axis=1)
    assert light.min() > 0
    assert light.max() < 1


def test_the_background_is_a_color_of_the_palette_unless_one_is_given(tmp_path: Path) -> None:
    night = np.full((48, 64, 3), (20, 16, 12), np.uint8)
    night[10:30, 20:40] = (240, 230, 210)
    path = str(save(tmp_path / "night.png", night))
    palette = ("#F5EBDC", "#181410", "#4f7a3a")
    inputs = read_inputs(small_job(tmp_path, target=path, palette=palette))
    assert inputs.background == "#181410"
    assert read_inputs(small_job(tmp_path, target=path, palette=palette, background="#ffffff")).background == "#ffffff"
    alone = read_inputs(small_job(tmp_path, target=path, palette=("#181410",))).background
    assert alone != "#181410"  # of which nothing could be seen
