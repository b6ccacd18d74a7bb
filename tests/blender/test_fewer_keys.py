# SPDX-License-Identifier: GPL-3.0-or-later
"""Few keys in place of one in every frame: how many are left, how true they are, and what Blender makes of them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from addon_modules import addon_module
from blenders import Blender
from pictures import psnr
from PIL import Image
from tracks import write_film

from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import picture

compositions, fewer_keys, polylines = (addon_module(name) for name in ("composition", "fewer_keys", "polylines"))

CHANNELS = ("location", "rotation", "scale", "colour")


def reduced(job: Path, tolerance: float = 0.5) -> tuple[Any, Any, float]:
    """The keys of a job with a tolerance, those of all frames, and Blender units per pixel."""
    composition = compositions.load(job)
    placed, unit = compositions.placed(composition, 2.0), compositions.unit(composition.header, 2.0)
    found = fewer_keys.fewer_keys(placed, tolerance, unit, composition.header.blend_space)
    return found, fewer_keys.all_keys(placed), unit


def count(keys: Any) -> int:
    return sum(int(getattr(keys.kept, name).sum()) for name in CHANNELS)


def as_composition(job: Path, placed: Any, unit: float) -> Composition:
    """Sprites in Blender's units as the engine takes them."""
    full = load_composition(job)
    sizes = full.shapes / full.shapes.max(axis=1, keepdims=True)
    half = placed.scale / unit / sizes[full.template]
    values: dict[str, Any] = {
        "x": placed.location[..., 0] / unit + full.header.width / 2,
        "y": full.header.height / 2 - placed.location[..., 1] / unit,
        "scale": np.sqrt(half[..., 0] * half[..., 1]),
        "aspect": np.log(half[..., 0] / half[..., 1]),
        "theta": -placed.rotation,
        "opacity": placed.colour[..., 3],
        "tint": placed.colour[..., :3],
    }
    arrays: dict[str, Any] = {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}
    return replace(full, **arrays)


def test_few_keys_show_the_same_film(tmp_path: Path) -> None:
    write_film(tmp_path / "job", width=192, height=128)
    few, every, unit = reduced(tmp_path / "job")
    assert count(few) <= 0.3 * count(every)
    whole, less = load_composition(tmp_path / "job"), as_composition(tmp_path / "job", few.placed, unit)
    decibels = []
    for frame in range(whole.frames):
        difference = picture(whole, frame).astype(float) - picture(less, frame)
        decibels.append(10 * np.log10(255**2 / np.mean(difference[..., :3] ** 2)))
    assert np.mean(decibels) >= 44
    assert min(decibels) >= 38


def test_nothing_is_farther_off_than_the_tolerance(tmp_path: Path) -> None:
    write_film(tmp_path / "job", cut=25)
    for tolerance in (0.25, 1.0, 3.0):
        few, every, unit = reduced(tmp_path / "job", tolerance)
        was, now = every.placed, few.placed
        assert np.hypot(*(was.location - now.location).T).max() <= 1.001 * tolerance * unit
        assert (np.abs(was.rotation - now.rotation) * was.scale.max(-1)).max() <= 1.001 * tolerance * unit
        assert np.abs(was.scale - now.scale).max() <= 1.001 * tolerance * unit
        level = 2 * tolerance / 255
        tint = np.abs(was.colour - now.colour)[..., :3].max(-1)
        assert (tint * was.colour[..., 3]).max() <= 2 * 1.001 * level, "half of a sprite is seen"
        assert (np.abs(was.colour - now.colour)[..., 3] / 4).max() <= 1.001 * level, "a quarter is the contrast"


def test_values_between_keys_lie_on_straight_lines_and_all_changing_frames_have_theirs(tmp_path: Path) -> None:
    write_film(tmp_path / "job", cut=25)
    few, _, _ = reduced(tmp_path / "job")
    x, kept = few.placed.location[..., 0], few.kept.location[..., 0]
    shot = few.first.cumsum()
    for k in range(x.shape[1]):
        for own in (shot == 1, shot == 2):
            at = np.flatnonzero(own & kept[:, k])
            assert np.allclose(np.interp(np.flatnonzero(own), at, x[at, k]), x[own, k], atol=1e-5)


def test_a_cut_is_kept_and_angles_do_not_turn_across_it(tmp_path: Path) -> None:
    write_film(tmp_path / "job", cut=25)
    few, every, unit = reduced(tmp_path / "job")
    assert np.flatnonzero(few.first).tolist() == [0, 25]
    moving = np.flatnonzero(few.kept.location[..., 0].sum(0) > 2)
    assert few.kept.location[25, moving].all()
    assert np.abs(few.placed.location - every.placed.location)[24:26].max() < 0.5 * unit


def test_what_stands_still_has_no_keys_and_a_tint_is_held_where_it_may_be(tmp_path: Path) -> None:
    write_film(tmp_path / "job")
    few, _, _ = reduced(tmp_path / "job", 8.0)
    assert not few.kept.location[:, ::2].any()
    assert not few.kept.colour[..., :3].any(), "tints change by 13 levels"
    assert few.kept.location[:, 1::2].any()


def test_tolerance_zero_means_every_frame_of_what_changes(tmp_path: Path) -> None:
    write_film(tmp_path / "job")
    few, every, _ = reduced(tmp_path / "job", 0.0)
    assert count(few) == count(every) > 0
    assert few.placed is every.placed or np.array_equal(few.placed.location, every.placed.location)


def test_a_fast_pan_of_all_sprites_is_no_cut(tmp_path: Path) -> None:
    write_film(tmp_path / "job", frames=4)
    placed = compositions.placed(compositions.load(tmp_path / "job"), 2.0)
    location = placed.location + np.arange(4)[:, None, None] * np.array([1.5, 0.4])
    panned = replace(placed, location=location)
    assert fewer_keys.shots(panned).tolist() == [True, False, False, False]


def test_lines_are_nowhere_farther_off_than_allowed_whatever_the_curves() -> None:
    rng = np.random.default_rng(0)
    for frames in (2, 3, 4, 9, 60):
        curves = np.concatenate(
            [
                rng.standard_normal((20, frames)),
                rng.standard_normal((20, frames)).cumsum(1),
                (rng.random((20, frames)) > 0.9).cumsum(1),
                np.zeros((2, frames)),
            ]
        )
        weight = rng.choice([1e-3, 1.0, 10.0, 1e4], curves.shape)
        kept, lines = polylines.fit(curves, weight)
        assert kept[:, [0, -1]].all()
        assert (np.abs(curves - lines) * weight).max() <= 1 + 1e-6
        still, value = polylines.held(curves, weight)
        assert still[-2:].all()
        assert (np.abs(curves - value[:, None]) * weight)[still].max() <= 1 + 1e-6


def test_a_broken_line_needs_its_corners_alone() -> None:
    line = np.interp(np.arange(50), [0, 12, 13, 30, 49], [0, 5, 9, 9, -4])
    kept, lines = polylines.fit(line[None], np.full((1, 50), 1e4))
    assert np.flatnonzero(kept[0]).tolist() == [0, 12, 13, 30, 49]
    assert np.allclose(lines, line, atol=1e-6)


def test_a_thousand_sprites_are_reduced_in_two_seconds(tmp_path: Path) -> None:
    write_film(tmp_path / "job", count=1000, frames=132)
    composition = compositions.load(tmp_path / "job")
    placed, unit = compositions.placed(composition, 2.0), compositions.unit(composition.header, 2.0)
    began = time.process_time()
    fewer_keys.fewer_keys(placed, 0.5, unit, "srgb")
    assert time.process_time() - began < 2


# In Blender.


@pytest.mark.blender
@pytest.mark.slow
def test_layers_have_few_keys_and_a_step_at_the_cut_and_an_artists_key_stays(blender: Blender, tmp_path: Path) -> None:
    job = tmp_path / "job"
    write_film(job, count=30, frames=20, cut=12)
    few, _, _ = reduced(job)
    frames = [1, 5, 12, 12.5, 13, 20]
    result = blender.run("import_fewer", job=job, tolerance=0.5, frames=frames)
    placed = few.placed
    wanted = np.concatenate((placed.location, placed.rotation[..., None], placed.scale, placed.colour), -1)
    for frame, state in zip(frames, result["states"], strict=True):
        assert np.allclose(state, wanted[int(frame) - 1], atol=1e-5), frame
    for k, (curves, kinds) in enumerate(zip(result["curves"], result["kinds"], strict=True)):
        at = [frame - 1 for frame, _ in curves.get("location[0]", [])]
        assert at == np.flatnonzero(few.kept.location[:, k, 0]).tolist()
        assert set(kinds) <= {"LINEAR", "CONSTANT"}
        assert kinds.count("CONSTANT") == sum(f"location[{axis}]" in curves for axis in (0, 1))
    assert result["summary"] == result["summary_again"] == "1 layer was changed"
    assert result["kept"] == 7
    assert [len(c) for c in result["converted"]] == [len(c) for c in result["curves"]]
    for frame, state in zip(frames, result["converted_states"], strict=True):
        if frame != 12.5:  # a mosaic has a line there
            assert np.allclose(state, wanted[int(frame) - 1], atol=1e-4), frame
    for found, name in zip(result["back"], ("location", "rotation", "colour"), strict=True):
        assert np.allclose(found, getattr(placed, name), atol=1e-4), name


@pytest.mark.blender
@pytest.mark.slow
def test_renders_of_few_keys_are_close_to_the_engines_picture_of_all(blender: Blender, tmp_path: Path) -> None:
    job = tmp_path / "job"
    write_film(job, count=30, frames=20, cut=12, width=192, height=128)
    whole = load_composition(job)
    pictures = {form: [(frame, tmp_path / f"{form} {frame}.png") for frame in (6, 12, 13)] for form in ("a", "b")}
    blender.run("import_fewer", job=job, tolerance=0.5, frames=[1], renders=pictures["a"], mosaic_renders=pictures["b"])
    for frame, path in pictures["a"] + pictures["b"]:
        Image.fromarray(picture(whole, frame - 1)).save(tmp_path / "engine.png")
        assert psnr(path, tmp_path / "engine.png") >= 35, path.name
