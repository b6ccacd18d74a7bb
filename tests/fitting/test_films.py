# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a film, fitted one after another with the same sprites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fits import drawn, quick
from jobs import decibels, film, pixels_of, ramp, save

from smalti.engine.templates import Template


def test_frames_are_fitted_with_one_set_of_sprites(templates: list[Template], tmp_path: Path) -> None:
    folder = film(tmp_path / "film", 4)
    composition = quick(folder, templates, steps=100, frame_steps=40)
    assert composition.frames == 4
    assert composition.template.shape == (60,)
    assert composition.x.shape == (4, 60)
    for frame in range(4):
        target = pixels_of(folder / f"{frame + 1:02d}.png")
        psnr = decibels(drawn(composition, frame), target)
        assert psnr > (15 if frame else 25)
        # Closer to its own frame than the one before is.
        if frame:
            assert psnr > decibels(drawn(composition, frame - 1), target)


def test_where_nothing_changes_nothing_moves(templates: list[Template], tmp_path: Path) -> None:
    for frame in range(3):
        save(tmp_path / "film" / f"{frame}.png", ramp())
    composition = quick(tmp_path / "film", templates, steps=100, frame_steps=20)
    step = np.hypot(np.diff(composition.x, axis=0), np.diff(composition.y, axis=0))
    assert np.median(step) < 1.5
    first, last = drawn(composition, 0), drawn(composition, 2)
    assert decibels(last, first) > 30
    target = pixels_of(tmp_path / "film" / "0.png")
    assert decibels(last, target) > decibels(first, target) - 0.5


def test_a_folder_with_one_picture_is_a_still(templates: list[Template], tmp_path: Path) -> None:
    assert quick(film(tmp_path / "film", 1), templates, steps=3).frames == 1


def test_frames_follow_in_the_natural_order_of_their_names(templates: list[Template], tmp_path: Path) -> None:
    for number, level in ((9, 30), (10, 128), (100, 230)):
        save(tmp_path / "film" / f"f{number}.png", np.full((32, 32, 3), level, np.uint8))
    composition = quick(tmp_path / "film", templates, steps=60, frame_steps=60)
    means = [drawn(composition, frame)[..., 0].mean() for frame in range(3)]
    assert means == sorted(means)
