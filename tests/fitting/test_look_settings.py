# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks are made of: shade, a least opacity, cover, a preferred visibility, letters on cards, a lighter target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import drawn, quick
from jobs import decibels, pixels_of, slow, small_job
from PIL import Image

from smalti.bridge.looks import LOOKS, Look
from smalti.engine import measure_legibility
from smalti.engine.composition import load_composition
from smalti.engine.composition.render import sprite_bitmaps
from smalti.engine.export import export_job
from smalti.engine.job.run import run_job
from smalti.engine.templates import Template
from smalti.engine.templates.card import on_cards
from smalti.engine.templates.text import text_templates


@pytest.fixture
def shaded_template() -> Template:
    """Opaque, light on the left and dark on the right, in other colors than gray."""
    rgba = np.zeros((18, 18, 4), np.uint8)
    rgba[1:-1, 1:-1] = (90, 40, 60, 255)
    rgba[1:-1, 1:9] = (230, 160, 200, 255)
    rgba[0], rgba[-1], rgba[:, 0], rgba[:, -1] = (*([160, 100, 130, 0],) * 4,)
    return Template("half", rgba)


@pytest.fixture
def black() -> Template:
    """A black square."""
    rgba = np.zeros((18, 18, 4), np.uint8)
    rgba[1:-1, 1:-1, 3] = 255
    return Template("black", rgba)


@pytest.mark.parametrize("least", [0.4, slow(1.0)])
def test_no_sprite_is_less_opaque_than_asked_for(ramp_file: Path, templates: list[Template], least: float) -> None:
    free = quick(ramp_file, templates)
    assert free.opacity.min() < least, "all are opaque, so this test shows nothing"
    for steps in (1, 40):
        assert quick(ramp_file, templates, steps=steps, alpha_min=least).opacity.min() >= least


def test_a_shaded_sprite_has_the_light_of_its_bitmap_and_the_hue_of_its_tint(
    ramp_file: Path, shaded_template: Template
) -> None:
    composition = quick(ramp_file, [shaded_template], count=8, steps=20, shade=0.5, alpha_min=1.0, min_size=12)
    assert composition.header.shade == 0.5
    for sprite in sprite_bitmaps(composition):
        opaque = sprite.rgba[sprite.rgba[..., 3] > 0.999][:, :3]
        tint = composition.tint[0, sprite.index]
        off = opaque - tint
        cut = (opaque < 1e-3) | (opaque > 1 - 1e-3)
        # The same for red, green and blue, where none is cut off.
        whole = ~cut.any(axis=1)
        assert np.ptp(off[whole], axis=1).max(initial=0) < 1e-3
        assert sprite.rgba.min() >= 0
        assert (sprite.rgba[..., :3] <= sprite.rgba[..., 3:] + 1e-6).all()


def test_shade_changes_nothing_where_bitmaps_keep_their_colors(ramp_file: Path, templates: list[Template]) -> None:
    plain, shaded = (
        quick(ramp_file, templates, colour_mix=1.0, background="#808080", shade=shade) for shade in (0.0, 1.0)
    )
    assert np.array_equal(drawn(plain), drawn(shaded))


def test_cover_leaves_no_bare_background(ramp_file: Path, templates: list[Template]) -> None:
    bare = []
    for cover in (0.0, 1.0):
        composition = quick(ramp_file, templates, steps=80, cover=cover, alpha_min=1.0, max_size=16)
        alpha = np.zeros((composition.header.height, composition.header.width))
        for sprite in sprite_bitmaps(composition):
            top, left = max(0, -sprite.top), max(0, -sprite.left)
            piece = sprite.rgba[top:, left:, 3]
            view = alpha[sprite.top + top :, sprite.left + left :][: piece.shape[0], : piece.shape[1]]
            view += piece[: view.shape[0], : view.shape[1]]
        bare.append(float((alpha < 0.5).mean()))
    assert bare[1] < 0.5 * bare[0]


def test_a_target_can_be_lightened(ramp_file: Path, templates: list[Template]) -> None:
    target = pixels_of(ramp_file)
    lighter = target.copy()
    lighter[..., :3] += 0.6 * (target[..., 3:] - target[..., :3])
    picture = drawn(quick(ramp_file, templates, steps=80, lighten=0.6))
    assert decibels(picture, lighter) > decibels(picture, target) + 6


def test_letters_on_cards_are_opaque_and_still_letters() -> None:
    letters = text_templates("AB", None)
    cards = on_cards(letters)
    assert [card.name for card in cards] == [letter.name for letter in letters]
    for letter, card in zip(letters, cards, strict=True):
        assert card.coverage > 0.9
        assert (card.width, card.height) > (letter.width, letter.height)
        assert (card.rgba[[0, -1], :, 3] == 0).all()
        assert (card.rgba[:, [0, -1], 3] == 0).all()
        # The ink is darker than the card, where the letter is.
        rows, columns = (
            (big - small) // 2 for big, small in ((card.height, letter.height), (card.width, letter.width))
        )
        inner = card.rgba[rows : rows + letter.height, columns : columns + letter.width, 0].astype(float)
        ink = letter.rgba[..., 3] / 255
        assert np.corrcoef(inner.ravel(), ink.ravel())[0, 1] < -0.9


@pytest.mark.parametrize("look", [*LOOKS])
def test_every_look_makes_a_job_that_can_be_handed_off(tmp_path: Path, look: Look) -> None:
    settings = {**LOOKS[look].settings, "look": look}
    if "grid" in settings:
        settings["grid"] = "4x3"
    else:
        settings["text"] = "ab"
    outcome = run_job(small_job(tmp_path, **settings), tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    assert composition.opacity.min() >= settings.get("alpha_min", 0.0)
    assert outcome.report["sprites"] == composition.header.sprites > 0
    export_job(tmp_path / "job", "psd")
    assert (tmp_path / "job" / "layers.psd").stat().st_size > 1000


def test_a_preferred_visibility_is_a_wish_for_which_nothing_is_dropped(
    ramp_file: Path, templates: list[Template]
) -> None:
    shares = []
    for preferred in (0.0, 0.6):
        composition = quick(ramp_file, templates, steps=80, preferred_visibility=preferred, alpha_min=1.0)
        assert composition.header.sprites == 60
        shares.append(measure_legibility(composition, ramp_file).visible)
    assert shares[1] > shares[0] + 0.1


def test_opaque_sprites_that_only_harm_are_dropped_and_counted(tmp_path: Path, black: Template) -> None:
    white = np.full((48, 48, 3), 255, np.uint8)
    white[20:28, 20:28] = 0
    Image.fromarray(white).save(tmp_path / "white.png")
    settings: dict[str, Any] = {"count": 40, "steps": 40, "colour_mix": 1.0, "background": "#ffffff", "min_size": 6}
    opaque = quick(tmp_path / "white.png", [black], alpha_min=1.0, **settings)
    assert 1 <= opaque.header.sprites < 40
    assert opaque.opacity.min() == 1
    error = np.abs(drawn(opaque)[..., :3] - white / 255).mean()
    assert error < 0.02, "black squares are left on white"


def test_at_least_one_sprite_stays(tmp_path: Path, black: Template) -> None:
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    composition = quick(
        tmp_path / "white.png", [black], count=8, steps=20, colour_mix=1.0, background="#ffffff", alpha_min=1.0
    )
    assert composition.header.sprites >= 1
