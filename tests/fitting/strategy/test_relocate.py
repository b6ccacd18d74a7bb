# SPDX-License-Identifier: GPL-3.0-or-later
"""Relocation: sprites that do little are put where the error is, and hardly any is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import Floats, bitmaps, decibels, pixels_of, save

from smalti.bridge.job import Preset
from smalti.engine.api import fit
from smalti.engine.composition import Composition
from smalti.engine.files.images import premultiply
from smalti.engine.fitting.strategy import Adaptive
from smalti.engine.fitting.strategy.presets import STRATEGIES
from smalti.engine.fitting.strategy.relocate import RelocateOccludedSettings, RelocateSettings
from smalti.engine.raster import Scene, build_atlas, draw
from smalti.engine.templates import Template, load_templates


def blending_weights(composition: Composition, templates: list[Template]) -> Floats:
    """[N], pixels: what each sprite adds to the alpha of the picture, from the top of the stack downwards."""
    atlas = build_atlas([premultiply(t.rgba) for t in templates])
    shapes = np.array([[t.width, t.height] for t in templates], np.float64)
    sprites = composition.sprites(0).double()
    affine, opacity, template = sprites.affine(shapes), sprites.opacity, sprites.template
    size = composition.header.height, composition.header.width
    alphas = []
    for lowest in range(len(template) + 1):  # of everything from this sprite upwards
        tint = np.zeros((len(template) - lowest, 3))
        image = draw(Scene(affine[lowest:], opacity[lowest:], tint, template[lowest:], atlas, size), "cpu")
        alphas.append(float(image[..., 3].sum(dtype=np.float64)))
    return -np.diff(np.array(alphas))


def test_relocated_sprites_keep_locked_sizes_and_the_numbers_of_each_bitmap(
    ramp_file: Path, templates: list[Template]
) -> None:
    few, many = (quick(ramp_file, templates, steps=steps, lock_scale=True) for steps in (1, 60))
    np.testing.assert_array_equal(np.sort(few.scale[0]), np.sort(many.scale[0]))
    assert (few.scale[0] != many.scale[0]).any(), "no sprite was relocated, so this test shows nothing"
    assert many.header.sprites == few.header.sprites == len(many.template)


@pytest.mark.slow
def test_relocation_brings_the_picture_closer(tmp_path: Path) -> None:
    """Much detail in one corner, where uniform coverage has too few sprites."""
    rng = np.random.default_rng(3)
    pixels = np.full((96, 96, 3), 40, np.uint8)
    pixels[:48, :48] = rng.integers(0, 2, (12, 12, 1)).repeat(4, axis=0).repeat(4, axis=1) * 215 + 40
    target = save(tmp_path / "corner.png", pixels)
    disc = load_templates(bitmaps(tmp_path / "discs"))
    settings: dict[str, Any] = {"count": 120, "size": 96, "steps": 240, "background": "#282828"}
    with_it = decibels(drawn(fit(target, disc, **settings)), pixels_of(target))
    never = Adaptive(relocation=RelocateSettings(last=0.0))
    without = decibels(drawn(fit(target, disc, strategy=never, **settings)), pixels_of(target))
    assert with_it > without + 0.3


@pytest.mark.parametrize("preset", ["balanced", "best"])
@pytest.mark.slow
def test_hardly_any_sprite_is_lost(ramp_file: Path, templates: list[Template], preset: Preset) -> None:
    """Two colors that the ramp does not have: most sprites can only raise the error, and would shrink away."""
    settings: dict[str, Any] = {
        "colour_mix": 1.0,
        "count": 150,
        "steps": 100,
        "preset": preset,
        "background": "#808080",
    }
    for seed in range(4):
        weights = blending_weights(quick(ramp_file, templates, **settings, seed=seed), templates)
        assert (weights < 0.05 * np.median(weights)).mean() < 0.01
    strategy = STRATEGIES[preset]
    assert isinstance(strategy, Adaptive)
    never = replace(strategy, occluded=RelocateOccludedSettings(at=2.0))
    weights = blending_weights(quick(ramp_file, templates, strategy=never, **settings), templates)
    assert (weights < 0.05 * np.median(weights)).mean() >= 0.02, "none would be lost, so this test shows nothing"
