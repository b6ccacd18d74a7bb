# SPDX-License-Identifier: GPL-3.0-or-later
"""What settings promise for the fit of a still: locks, sizes, opacities, masks, backgrounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import Floats, decibels, pixels_of, ramp, save

from smalti.engine.composition.render import picture
from smalti.engine.templates import Template


def changed(target: Path, templates: list[Template], name: str, **settings: Any) -> tuple[Floats, Floats]:
    """A parameter [N] after one step and after 11, before any sprite is moved elsewhere in the stack."""
    composed = (quick(target, templates, steps=steps, background="#808080", **settings) for steps in (1, 11))
    one, many = (getattr(composition, name)[0] for composition in composed)
    return one, many


def test_full_mix_leaves_the_tint_alone(ramp_file: Path, templates: list[Template]) -> None:
    one, many = (np.sort(tint, axis=0) for tint in changed(ramp_file, templates, "tint", colour_mix=1.0))
    np.testing.assert_array_equal(one, many)  # but for their order: some were moved within the stack
    one, many = changed(ramp_file, templates, "tint", colour_mix=0.9)
    assert abs(one - many).max() > 0.01


def test_full_mix_draws_the_bitmaps_own_colors(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, steps=5, colour_mix=1.0, background="transparent")
    pixels = picture(composition)
    colors = pixels[pixels[..., 3] > 250][:, :3].astype(int)
    own = np.array([(230, 200, 60), (40, 90, 160)])
    # Where two meet, they mix; nothing lies beyond them.
    assert (colors >= own.min(axis=0) - 2).all()
    assert (colors <= own.max(axis=0) + 2).all()


def test_a_locked_rotation_keeps_every_bitmap_upright(ramp_file: Path, templates: list[Template]) -> None:
    assert (quick(ramp_file, templates, steps=20, lock_rotation=True).theta == 0).all()
    assert (quick(ramp_file, templates, steps=20).theta != 0).all()


def test_a_locked_scale_keeps_every_sprite_at_its_first_size(ramp_file: Path, templates: list[Template]) -> None:
    one, many = (np.sort(scale) for scale in changed(ramp_file, templates, "scale", lock_scale=True))
    np.testing.assert_array_equal(one, many)
    one, many = changed(ramp_file, templates, "scale")
    assert abs(one - many).max() > 0.5


@pytest.mark.parametrize("locked", [False, True])
def test_every_sprite_is_between_the_smallest_and_the_largest_size(
    ramp_file: Path, templates: list[Template], locked: bool
) -> None:
    composition = quick(ramp_file, templates, min_size=11, max_size=17, lock_scale=locked)
    assert composition.scale.min() >= 5.5 - 1e-5
    assert composition.scale.max() <= 8.5 + 1e-5


def test_no_sprite_is_more_opaque_than_allowed(ramp_file: Path, templates: list[Template]) -> None:
    assert quick(ramp_file, templates, alpha_max=0.3).opacity.max() <= 0.3
    assert quick(ramp_file, templates).opacity.max() > 0.5


# Transparency and backgrounds.


def test_what_the_mask_hides_stays_empty(ramp_file: Path, templates: list[Template], tmp_path: Path) -> None:
    gray = np.zeros((64, 96, 3), np.uint8)
    gray[:, 48:] = 255
    mask = save(tmp_path / "mask.png", gray)
    composition = quick(ramp_file, templates, steps=150, target_mask=mask)
    assert composition.header.background == "transparent"
    alpha = drawn(composition)[..., 3]
    assert alpha[:, :44].mean() < 0.03
    assert alpha[:, 52:].mean() > 0.9


def test_a_transparent_target_keeps_its_outline(badge_file: Path, templates: list[Template]) -> None:
    composition = quick(badge_file, templates, steps=200)
    assert composition.header.background == "transparent"
    alpha, goal = drawn(composition)[..., 3], pixels_of(badge_file)[..., 3]
    assert abs(alpha - goal).mean() < 0.06
    assert alpha[goal == 0].mean() < 0.05
    assert alpha[goal == 1].mean() > 0.9


def test_a_transparent_target_over_a_color_leaves_that_color_in_its_holes(
    badge_file: Path, templates: list[Template]
) -> None:
    composition = quick(badge_file, templates, steps=200, background="#00ff00")
    image = drawn(composition)
    outside = pixels_of(badge_file)[..., 3] == 0
    np.testing.assert_allclose(image[outside].mean(axis=0), [0, 1, 0, 1], atol=0.05)


def test_the_automatic_background_is_the_mean_color(ramp_file: Path, templates: list[Template]) -> None:
    background = quick(ramp_file, templates, steps=1).header.background
    mean = ramp().reshape(-1, 3).mean(axis=0)
    found = [int(background[i : i + 2], 16) for i in (1, 3, 5)]
    np.testing.assert_allclose(found, mean, atol=1)


def test_a_background_image_shows_where_no_sprite_is(
    ramp_file: Path, templates: list[Template], tmp_path: Path
) -> None:
    behind = save(tmp_path / "behind.png", np.full((8, 8, 3), (10, 200, 90), np.uint8))
    composition = quick(ramp_file, templates, count=1, steps=1, max_size=10, background=behind)
    assert composition.header.background == "background.png"
    shown = picture(composition)
    is_behind = (shown == (10, 200, 90, 255)).all(axis=2)
    assert is_behind.mean() > 0.9


def test_a_background_equal_to_the_target_is_left_as_it_is(ramp_file: Path, templates: list[Template]) -> None:
    """The fit takes the background into account: over the target itself nothing is better than the start."""
    composition = quick(ramp_file, templates, steps=100, background=ramp_file)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 30
