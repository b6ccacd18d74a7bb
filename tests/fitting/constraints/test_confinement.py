# SPDX-License-Identifier: GPL-3.0-or-later
"""Confinement: nothing is drawn outside of masks and outlines, at the fit's size and at twice it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import PALETTE, alpha_outside, gray, quick
from jobs import decibels, pixels_of, resized, save, slow, small_job

from smalti.bridge.errors import SmaltiError
from smalti.engine.composition.render import render
from smalti.engine.job.run import run_job
from smalti.engine.templates import Template, load_templates


def refusal(target: Path, templates: list[Template], **settings: Any) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        quick(target, templates, **settings)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "settings",
    [
        {},
        slow({"count": 200, "min_size": 4, "steps": 25}),
        {"blend_space": "linear", "colour_mix": 0.5},
        slow({"lock_rotation": True, "lock_scale": True}),
        {"rotation_steps": 3, "palette": list(PALETTE)},
        slow({"preset": "published"}),
        {"steps": 1},
        slow({"size": 250, "count": 20, "steps": 15}),
    ],
    ids=str,
)
def test_nothing_is_drawn_outside_keep_in(
    ramp_file: Path, crescent_file: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    composition = quick(ramp_file, templates, keep_in=crescent_file, background="transparent", **settings)
    assert max(alpha_outside(composition, gray(crescent_file))) < 0.5
    shown = render(composition)[..., 3]
    inside = resized(np.stack([gray(crescent_file)] * 4, axis=-1), shown.shape[1], shown.shape[0])[..., 0] > 0.5
    assert shown[inside].mean() > (0.1 if settings.get("preset") else 0.4)


def test_nothing_is_drawn_inside_keep_out(ramp_file: Path, crescent_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, keep_out=crescent_file, background="transparent")
    assert max(alpha_outside(composition, 1 - gray(crescent_file))) < 0.5
    assert render(composition)[..., 3].mean() > 0.2


@pytest.mark.slow
def test_a_region_reaches_its_edge(ramp_file: Path, crescent_file: Path, templates: list[Template]) -> None:
    """A margin all round would be safe but visible: nearly all pixels two pixels inside the edge are covered."""
    composition = quick(
        ramp_file, templates, keep_in=crescent_file, background="transparent", size=144, count=250, steps=80
    )
    shown = render(composition)[..., 3]
    inside = resized(np.stack([gray(crescent_file)] * 4, axis=-1), shown.shape[1], shown.shape[0])[..., 0] > 0.5
    within = inside.copy()
    for axis in (0, 1):
        for step in (-2, -1, 1, 2):
            within &= np.roll(inside, step, axis)
    assert (shown[within & ~np.roll(within, 2, 1)] > 0.5).mean() > 0.85


@pytest.mark.parametrize("masked", [False, slow(True)])
def test_sprites_keep_within_the_outline(
    ramp_file: Path, badge_file: Path, crescent_file: Path, templates: list[Template], masked: bool
) -> None:
    settings: dict[str, Any] = {"target_mask": crescent_file, "background": "transparent"} if masked else {}
    composition = quick(ramp_file if masked else badge_file, templates, inside_outline=True, **settings)
    outline = gray(crescent_file) if masked else pixels_of(badge_file)[..., 3]
    assert max(alpha_outside(composition, outline)) < 0.5
    assert render(composition)[..., 3].mean() > 0.2


@pytest.mark.slow
def test_the_outline_of_a_film_moves(tmp_path: Path, templates: list[Template]) -> None:
    outlines = []
    for frame in range(3):
        rgba = np.zeros((48, 64, 4), np.uint8)
        rgba[10:40, 5 + 12 * frame : 30 + 12 * frame] = (200, 120, 30 + 60 * frame, 255)
        save(tmp_path / "film" / f"{frame}.png", rgba)
        outlines.append(rgba[..., 3] / 255)
    composition = quick(tmp_path / "film", templates, inside_outline=True, frame_steps=20)
    for frame, outline in enumerate(outlines):
        assert max(alpha_outside(composition, outline, frame)) < 0.5
        assert render(composition, frame)[..., 3][outline > 0.5].mean() > 0.3


@pytest.mark.slow
def test_a_bitmap_that_fits_nowhere_is_left_out(tmp_path: Path, ramp_file: Path) -> None:
    """A stroke 20 pixels long fits into a slit, a disc of that size does not."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    for name, alpha in (("disc", np.hypot(x, y) < 0.95), ("stroke", (abs(y) < 0.05) & (abs(x) < 0.95))):
        rgba = np.full((64, 64, 4), 90, np.uint8)
        rgba[..., 3] = 255 * alpha
        save(tmp_path / "marks" / f"{name}.png", rgba)
    mask = np.zeros((64, 96), np.uint8)
    mask[28:36, 10:80] = 255
    path = save(tmp_path / "slit.png", mask)
    composition = quick(
        ramp_file, load_templates(tmp_path / "marks"), keep_in=path, min_size=20, background="transparent", count=20
    )
    assert max(alpha_outside(composition, mask / 255)) < 0.5
    assert set(composition.template[composition.opacity[0] > 0].tolist()) == {1}


@pytest.mark.slow
def test_what_may_not_be_drawn_does_not_count_against_the_picture(tmp_path: Path, crescent_file: Path) -> None:
    job = small_job(tmp_path, keep_in=str(crescent_file), background="transparent", count=60, steps=80)
    report = run_job(job, tmp_path / "job").report
    whole = decibels(pixels_of(tmp_path / "job" / "render.png"), pixels_of(Path(job.target)))
    assert report["psnr"] > whole + 4


# What leaves no room.


def test_a_region_without_room_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template]) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[20:24, 20:24] = 255
    fault = refusal(ramp_file, templates, keep_in=save(tmp_path / "dot.png", mask), min_size=12)
    assert fault.code == "region_too_small"
    assert "12 pixels" in fault.message
    assert "min_size" in fault.hint


def test_a_region_that_leaves_nothing_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template]) -> None:
    black = save(tmp_path / "black.png", np.zeros((8, 8), np.uint8))
    white = save(tmp_path / "white.png", np.full((8, 8), 255, np.uint8))
    for name, mask in (("keep_in", black), ("keep_out", white)):
        fault = refusal(ramp_file, templates, **{name: mask})
        assert fault.code == "region_empty"
        assert fault.message.startswith(f"{mask}: nothing of the target ({ramp_file.name})")
        assert name in fault.message


def test_an_opaque_target_has_no_outline(ramp_file: Path, templates: list[Template]) -> None:
    fault = refusal(ramp_file, templates, inside_outline=True)
    assert fault.code == "no_outline"
    assert str(ramp_file) in fault.message


@pytest.mark.parametrize("name", ["keep_in", "keep_out"])
def test_a_missing_mask_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template], name: str) -> None:
    assert str(tmp_path / "no.png") in refusal(ramp_file, templates, **{name: tmp_path / "no.png"}).message
