# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a composition: at the size of the fit, at any other, and sprite by sprite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Floats, bitmaps, decibels, pixels_of, ramp, save, small_job
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.job import BlendSpace
from smalti.engine.api import fit
from smalti.engine.colour import linear_from_srgb, srgb_from_linear
from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import (
    MAX_SIZE,
    picture,
    picture_strips,
    render,
    render_strips,
    sprite_bitmaps,
)
from smalti.engine.files import strips
from smalti.engine.job.run import run_job
from smalti.engine.raster.geometry import affine_maps, half_sizes
from smalti.engine.templates import Template, load_templates


def opaque(pixels: NDArray[np.uint8]) -> Template:
    """A template of one opaque picture, with the margin of one texel that all templates have."""
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return Template("tile", np.pad(rgba, ((1, 1), (1, 1), (0, 0))))


def scene(template: Template, *, size: tuple[int, int] = (60, 40), **values: Any) -> Composition:
    """A composition of one template. `values`: the header's, or [N] numbers of its sprites; size (width, height)."""
    usual = {"x": 30, "y": 20, "scale": 10, "aspect": 0, "theta": 0, "opacity": 1}
    count = max(np.size(values.get(name, 0)) for name in usual)
    arrays: dict[str, Any] = {
        n: np.broadcast_to(np.float32(values.get(n, v)), (1, count)).copy() for n, v in usual.items()
    }
    tint = np.broadcast_to(np.float32(values.get("tint", 0.5)), (1, count, 3)).copy()
    header = Header(
        *size,
        count,
        1,
        values.get("blend_space", "srgb"),
        values.get("colour_mix", 0.0),
        values.get("background", "transparent"),
        24.0,
        (TemplateFile(template.name, "templates/1.png", template.width, template.height),),
        "0.1.0",
    )
    return Composition(
        header,
        [template],
        np.zeros(count, np.int32),
        tint=tint,
        background_image=values.get("background_image"),
        **arrays,
    )


def halves(left: float, top: float) -> NDArray[np.uint8]:
    """[32, 32, 3]: red only in the left part, green only in the top part."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, : int(32 * left), 0] = 255
    pixels[: int(32 * top), :, 1] = 255
    return pixels


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run_job(small_job(folder, count=40, steps=60, size=96, colour_mix=0.3), folder / "job")
    return folder / "job"


# Where a sprite lands.


@pytest.mark.parametrize(
    ("theta", "right", "down"),
    [(0.0, (1, 0), (0, 1)), (np.pi / 2, (0, 1), (-1, 0)), (np.pi / 4, (0.5**0.5, 0.5**0.5), (-(0.5**0.5), 0.5**0.5))],
)
def test_a_template_is_turned_from_right_to_down(
    theta: float, right: tuple[float, float], down: tuple[float, float]
) -> None:
    x, y, half_width, half_height = 31.0, 17.0, 8.0, 4.0
    columns = np.array([[x], [y], [half_width], [0.0], [theta]])
    shape = np.array([[20.0, 10.0]])
    affine = affine_maps(columns[0], columns[1], columns[2], columns[3], columns[4], shape)[0].reshape(2, 3)
    for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = np.array([x, y]) + u * half_width * np.array(right) + v * half_height * np.array(down)
        np.testing.assert_allclose(affine @ [*corner, 1], [u, v], atol=1e-12)


def test_the_longer_side_has_the_scale_and_aspect_widens_without_growing() -> None:
    shape = np.array([[40.0, 10.0], [10.0, 40.0]])
    scale = np.array([8.0, 8.0])
    half_width, half_height = half_sizes(scale, np.zeros(2), shape)
    assert half_width.tolist() == [8, 2]
    assert half_height.tolist() == [2, 8]
    wider, lower = half_sizes(scale, np.full(2, np.log(2.0)), shape)
    np.testing.assert_allclose(wider / lower, 2 * half_width / half_height, rtol=1e-6)
    np.testing.assert_allclose(wider * lower, half_width * half_height, rtol=1e-6)


def test_a_sprite_is_drawn_at_its_place_in_its_size_with_its_colour() -> None:
    image = render(scene(opaque(ramp(32, 16)), x=20, y=15, scale=12, tint=[0.2, 0.4, 0.8], opacity=0.5))
    assert image.shape == (40, 60, 4)
    alpha = image[..., 3]
    y, x = np.mgrid[0:40, 0:60] + 0.5
    assert (alpha * x).sum() / alpha.sum() == pytest.approx(20, abs=0.05)
    assert (alpha * y).sum() / alpha.sum() == pytest.approx(15, abs=0.05)
    inside = (abs(x - 20) < 9) & (abs(y - 15) < 4)
    np.testing.assert_allclose(image[inside], np.broadcast_to([0.1, 0.2, 0.4, 0.5], (inside.sum(), 4)), atol=1e-3)
    assert alpha[abs(x - 20) > 13].max() == 0
    assert alpha[abs(y - 15) > 7.5].max() == 0


def test_a_quarter_turn_brings_the_left_of_a_bitmap_to_the_top() -> None:
    quarter = scene(opaque(halves(0.5, 0.0)), theta=np.pi / 2, colour_mix=1.0)
    red = render(quarter)[..., 0]
    assert red[13:18, 22:38].min() > 0.95
    assert red[23:28, 22:38].max() < 0.05


def test_the_last_sprite_lies_on_top() -> None:
    stack = scene(opaque(ramp(16, 16)), x=[30, 30], tint=[[1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(render(stack)[20, 30], [0, 1, 0, 1], atol=1e-3)


# The size of the picture.


def test_the_size_of_the_fit_gives_the_jobs_own_picture_exactly(finished: Path) -> None:
    composition = load_composition(finished)
    own = np.asarray(Image.open(finished / "render.png"))
    np.testing.assert_array_equal(picture(composition), own)
    np.testing.assert_array_equal(picture(composition, size=96), own)


def test_twice_the_size_reduced_again_is_close_to_the_jobs_own_picture(finished: Path) -> None:
    double = render(load_composition(finished), size=192).astype(np.float64)
    assert double.shape == (128, 192, 4)
    reduced = double.reshape(64, 2, 96, 2, 4).mean(axis=(1, 3))
    assert decibels(reduced, pixels_of(finished / "render.png")) > 30


@pytest.mark.parametrize(
    ("canvas", "size", "expected"),
    [((60, 40), 30, (20, 30)), ((40, 60), 90, (90, 60)), ((400, 16), 100, (4, 100)), ((400, 16), 5, (1, 5))],
)
def test_proportions_are_kept_at_any_size(canvas: tuple[int, int], size: int, expected: tuple[int, int]) -> None:
    image = picture(scene(opaque(ramp(8, 8)), size=canvas), size=size)
    assert image.shape == (*expected, 4)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("size", [0, -1, MAX_SIZE + 1])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size must be"):
        render(scene(opaque(ramp(8, 8))), size=size)


@pytest.mark.parametrize("frame", [-1, 1])
def test_a_frame_that_does_not_exist_is_refused(frame: int) -> None:
    with pytest.raises(IndexError):
        render(scene(opaque(ramp(8, 8))), frame=frame)


def sharpness(image: Floats) -> float:
    """Mean square of what neighbors do not predict."""
    grey = image[..., :3].mean(axis=2)
    return float(
        np.mean((4 * grey[1:-1, 1:-1] - grey[2:, 1:-1] - grey[:-2, 1:-1] - grey[1:-1, 2:] - grey[1:-1, :-2]) ** 2)
    )


@pytest.mark.slow
def test_a_small_job_at_a_large_size_shows_the_detail_of_the_original_bitmaps(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    textured = rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)
    save(tmp_path / "bitmaps" / "texture.png", textured)
    composition = fit(
        save(tmp_path / "target.png", ramp(300, 200)),
        load_templates(tmp_path / "bitmaps"),
        count=40,
        steps=20,
        size=300,
        colour_mix=0.7,
    )
    small = picture(composition)
    upscaled = np.asarray(Image.fromarray(small).resize((2000, 1333), Image.Resampling.BICUBIC)) / 255
    large = picture(composition, size=2000)
    assert large.shape == (1333, 2000, 4)
    assert sharpness(large / 255) > 20 * sharpness(upscaled)
    reduced = np.asarray(Image.fromarray(large).resize((300, 200), Image.Resampling.BOX)) / 255
    assert decibels(reduced, small / 255) > 30


# Background and blend space.


def test_a_colour_behind_the_sprites_fills_what_they_leave_open() -> None:
    image = picture(scene(opaque(ramp(8, 8)), background="#336699"))
    assert image[0, 0].tolist() == [0x33, 0x66, 0x99, 255]
    assert (image[..., 3] == 255).all()
    assert image[20, 30, 0] == 128


def test_an_image_behind_the_sprites_is_stretched_over_the_canvas_at_any_size() -> None:
    behind = np.zeros((10, 10, 4), np.uint8)
    behind[:, :5] = (255, 0, 0, 255)
    behind[:, 5:] = (0, 0, 255, 255)
    stretched = scene(opaque(ramp(8, 8)), background="background.png", background_image=behind, scale=2)
    for size in (60, 240):
        image = picture(stretched, size=size)
        assert image[1, 1].tolist() == [255, 0, 0, 255]
        assert image[-2, -2].tolist() == [0, 0, 255, 255]


def test_no_background_leaves_the_rest_transparent() -> None:
    image = picture(scene(opaque(ramp(8, 8))))
    assert image[0, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_half_opacity_mixes_the_numbers_of_the_blend_space(space: Any) -> None:
    image = picture(scene(opaque(ramp(8, 8)), opacity=0.5, tint=1.0, background="#000000", blend_space=space))
    expected = 0.5 if space == "srgb" else float(srgb_from_linear(np.array(0.5)))
    assert image[20, 30, :3].tolist() == [round(255 * expected)] * 3


def test_linear_colours_of_bitmaps_and_background_come_back_as_they_are_in_their_files() -> None:
    grey = np.full((16, 16, 3), 90, np.uint8)
    own = scene(opaque(grey), colour_mix=1.0, background="#28507f", blend_space="linear")
    image = picture(own)
    assert image[20, 30].tolist() == [90, 90, 90, 255]
    assert image[0, 0].tolist() == [0x28, 0x50, 0x7F, 255]
    assert render(own)[0, 0, 0] == pytest.approx(float(linear_from_srgb(np.array(0x28 / 255))), rel=1e-3)


# Sprite by sprite.


def test_the_sprites_laid_over_each_other_by_hand_give_the_picture(tmp_path: Path) -> None:
    templates = load_templates(bitmaps(tmp_path))
    rng = np.random.default_rng(3)
    several = scene(
        templates[0],
        x=rng.uniform(-5, 65, 12),
        y=rng.uniform(-5, 45, 12),
        scale=rng.uniform(1, 20, 12),
        theta=rng.uniform(-3, 3, 12),
        opacity=rng.uniform(0.1, 1, 12),
        tint=rng.uniform(0, 1, (12, 3)),
        colour_mix=0.4,
    )
    canvas = np.zeros((40 + 200, 60 + 200, 4))
    for index, sprite in enumerate(sprite_bitmaps(several)):
        assert sprite.index == index
        height, width = sprite.rgba.shape[:2]
        rows, columns = (
            slice(100 + sprite.top, 100 + sprite.top + height),
            slice(100 + sprite.left, 100 + sprite.left + width),
        )
        source = sprite.opacity * sprite.rgba
        canvas[rows, columns] = source + (1 - source[..., 3:]) * canvas[rows, columns]
    np.testing.assert_allclose(canvas[100:140, 100:160], render(several), atol=2e-3)


def test_a_sprite_that_shows_nowhere_has_an_empty_bitmap() -> None:
    (sprite,) = sprite_bitmaps(scene(opaque(ramp(8, 8)), scale=1e-6))
    assert not sprite.rgba.any()


# Strips


@pytest.fixture(params=["transparent", "#336699", "background.png"])
def varied(request: pytest.FixtureRequest) -> Composition:
    """Sprites on and off the canvas over each kind of background."""
    rng = np.random.default_rng(3)
    count = 40
    image = rng.integers(0, 256, (31, 47, 4), dtype=np.uint8) if request.param.endswith(".png") else None
    made = scene(
        opaque(ramp(32, 16)),
        x=rng.uniform(-10, 70, count),
        y=rng.uniform(-10, 50, count),
        scale=rng.uniform(2, 30, count),
        theta=rng.uniform(-3, 3, count),
        opacity=rng.uniform(0, 1, count),
        background=request.param,
    )
    return replace(made, background_image=image)


@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("size", [None, 200])
def test_strips_make_the_same_picture(
    varied: Composition, space: BlendSpace, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition = replace(varied, header=replace(varied.header, blend_space=space))
    whole, bits = render(composition, size=size), picture(composition, size=size)
    monkeypatch.setattr(strips, "STRIP_PIXELS", 1)
    assert len(list(render_strips(composition, size=size))) == -(-len(whole) // 16)
    np.testing.assert_array_equal(render_strips(composition, size=size).whole(), whole)
    np.testing.assert_array_equal(picture_strips(composition, size=size).whole(), bits)
    np.testing.assert_array_equal(picture(composition, size=size), bits)


def test_a_sprite_is_the_same_in_strips(varied: Composition, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [sprite.rgba for sprite in sprite_bitmaps(varied, size=200)]
    monkeypatch.setattr(strips, "STRIP_PIXELS", 1)
    for sprite, expected in zip(sprite_bitmaps(varied, size=200), whole, strict=True):
        np.testing.assert_array_equal(sprite.rgba, expected)
