# SPDX-License-Identifier: GPL-3.0-or-later
"""A palette: every tint is one of its colors, and the fit makes up for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import PALETTE, colors_of, drawn, levels_of, quick
from jobs import decibels, film, pixels_of

from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.files.images import straight_from_premultiplied
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
