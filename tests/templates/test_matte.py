# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a bitmap belong to the object: backgrounds keyed out, the other masks, and their tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mattes import WHITE, disc, one, over, petals, save, solid, trimmed, without_margin
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import Mask
from smalti.engine.templates import load_templates
from smalti.engine.templates.matte import border_color, connected

EXAMPLES = Path(__file__).parents[2] / "examples"


# Background keyed out


@pytest.mark.parametrize("mask", ["auto", "background"])
@pytest.mark.parametrize(
    ("colour", "background"),
    [
        ((0, 0, 0), WHITE),
        ((180, 20, 40), WHITE),
        ((250, 240, 20), (20, 60, 120)),
        ((255, 255, 255), (0, 0, 0)),
        ((90, 140, 60), (236, 231, 220)),
    ],
)
def test_a_disc_comes_back_with_its_true_coverage_and_no_fringe(
    tmp_path: Path, mask: Mask, colour: tuple[int, int, int], background: tuple[int, int, int]
) -> None:
    coverage = disc(80, 27.3)
    template = one(save(tmp_path / "a.png", over(coverage, colour, background)), mask)
    alpha = without_margin(template)[..., 3]
    expected = trimmed(np.rint(coverage * 255).astype(np.uint8))
    assert alpha.shape == expected.shape
    assert np.abs(alpha.astype(int) - expected).max() <= 4
    # Colors of faint texels are uncertain by rounding: compare what they add to a picture, premultiplied.
    off = np.abs(template.rgba[..., :3].astype(float) - colour) * template.rgba[..., 3:] / 255
    assert off.max() <= 2


def test_a_coloured_object_comes_back_with_its_coverage_and_its_colours(tmp_path: Path) -> None:
    coverage, colours = disc(200, 70.4), petals(200)
    template = one(save(tmp_path / "a.png", over(coverage, colours, WHITE)))
    expected = trimmed(np.rint(coverage * 255).astype(np.uint8))
    alpha = template.rgba[1:-1, 1:-1, 3].astype(int)
    assert alpha.shape == expected.shape
    assert np.abs(alpha - expected).max() <= 8
    top = (200 - alpha.shape[0]) // 2
    true = colours[top : top + alpha.shape[0], top : top + alpha.shape[1]]
    off = np.abs(without_margin(template)[..., :3] - true) * alpha[..., None] / 255
    assert off.max() <= 6


def test_an_object_in_a_jpeg_on_noisy_paper_is_cut_out_whole(tmp_path: Path) -> None:
    coverage = disc(240, 80)
    scan = over(coverage, petals(240), (238, 235, 226)) + np.random.default_rng(0).normal(0, 3, (240, 240, 1))
    template = one(save(tmp_path / "a.jpg", np.clip(scan, 0, 255).astype(np.uint8), quality=85))
    # JPEG leaves a faint haze along edges, which may widen the template by a few texels but must not weigh anything.
    assert max(abs(template.width - 162), abs(template.height - 162)) <= 6
    assert template.rgba[..., 3].sum() / 255 == pytest.approx(coverage.sum(), rel=0.005)
    middle = template.rgba[60:100, 60:100, 3]
    assert (middle == 255).all()


def test_what_the_object_encloses_stays_where_it_has_more_than_one_colour(tmp_path: Path) -> None:
    picture = over(disc(100, 40), petals(100), WHITE)
    picture[40:60, 40:60] = 255
    template = one(save(tmp_path / "a.png", picture))
    assert template.rgba[template.height // 2, template.width // 2].tolist() == [255, 255, 255, 255]


def test_between_the_strokes_of_one_ink_is_paper(tmp_path: Path) -> None:
    ring = disc(100, 40) - disc(100, 20)
    path = save(tmp_path / "a.png", over(ring, (30, 30, 90), WHITE))
    alpha = without_margin(one(path))[..., 3]
    assert np.abs(alpha.astype(int) - trimmed(np.rint(ring * 255).astype(np.uint8))).max() <= 4
    kept = one(path, "background")
    assert kept.rgba[kept.height // 2, kept.width // 2].tolist() == [255, 255, 255, 255]


def test_faint_specks_in_the_background_are_dropped(tmp_path: Path) -> None:
    picture = over(disc(60, 15), petals(60), WHITE)
    picture[3, 3] = picture[50:52, 8] = 240
    assert one(save(tmp_path / "a.png", picture)).width <= 34


def test_an_object_that_the_border_cuts_off_is_kept(tmp_path: Path) -> None:
    picture = solid(60, 60, WHITE)
    picture[20:, 25:35] = petals(60)[20:, 25:35]
    template = one(save(tmp_path / "a.png", picture))
    assert (template.height, template.width) == (42, 12)
    assert template.rgba[-2, 6, 3] == 255


def test_hairs_of_one_pixel_survive(tmp_path: Path) -> None:
    picture = over(disc(80, 20), petals(80), WHITE)
    picture[5:75, 10] = (120, 60, 200)
    template = one(save(tmp_path / "a.png", picture))
    assert template.height == 72
    assert template.rgba[10, 1].tolist() == [120, 60, 200, 255]


def test_a_photograph_becomes_an_opaque_tile(tmp_path: Path) -> None:
    y, x = np.mgrid[:40, :60]
    photo = np.stack([4 * x, 6 * y, 255 - 2 * x - 2 * y], axis=-1).astype(np.uint8)
    template = one(save(tmp_path / "a.png", photo))
    assert template.rgba.shape == (42, 62, 4)
    np.testing.assert_array_equal(without_margin(template)[..., :3], photo)
    assert (without_margin(template)[..., 3] == 255).all()


def test_one_plain_colour_becomes_an_opaque_tile(tmp_path: Path) -> None:
    template = one(save(tmp_path / "a.png", solid(8, 6, (200, 30, 60))))
    assert (without_margin(template) == (200, 30, 60, 255)).all()


def test_the_smallest_bitmap_is_a_template(tmp_path: Path) -> None:
    assert one(save(tmp_path / "a.png", solid(1, 1, (5, 6, 7)))).rgba[1, 1].tolist() == [5, 6, 7, 255]


# The other masks


def test_mask_alpha_keys_nothing(tmp_path: Path) -> None:
    template = one(save(tmp_path / "a.png", over(disc(40, 12), (200, 30, 30), WHITE)), "alpha")
    assert template.rgba.shape == (42, 42, 4)
    assert (without_margin(template)[..., 3] == 255).all()


def test_mask_background_keys_within_own_alpha(tmp_path: Path) -> None:
    rgb = over(disc(60, 15), petals(60), WHITE)
    alpha = solid(60, 60, (255,))
    alpha[:, 30:] = 0
    template = one(save(tmp_path / "a.png", np.dstack([rgb, alpha])), "background")
    assert abs(template.height - 32) <= 1
    assert abs(template.width - 17) <= 1


def test_mask_background_of_one_plain_colour_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"a\.png.*nothing is left") as caught:
        load_templates(save(tmp_path / "a.png", solid(8, 8, WHITE)), mask="background")
    assert caught.value.code == "bitmap_transparent"


def test_mask_luminance_makes_dark_opaque_and_takes_the_white_out(tmp_path: Path) -> None:
    picture = np.array([[[0, 0, 0], [128, 128, 128], [255, 128, 128], [255, 255, 255], [0, 0, 0]]], np.uint8)
    texels = without_margin(one(save(tmp_path / "a.png", picture), "luminance"))[0]
    assert texels[:, 3].tolist() == [255, 127, 100, 0, 255]
    assert texels[0].tolist() == [0, 0, 0, 255]
    assert texels[1, :3].tolist() == [0, 0, 0]
    assert texels[2, 0] == 255
    assert texels[2, 1] < 128


def test_mask_luminance_multiplies_own_alpha(tmp_path: Path) -> None:
    texels = without_margin(one(save(tmp_path / "a.png", solid(2, 2, (0, 0, 0, 100))), "luminance"))
    assert (texels[..., 3] == 100).all()


def test_mask_none_is_an_opaque_rectangle_on_white(tmp_path: Path) -> None:
    rgba = solid(4, 6, (10, 20, 30, 0))
    rgba[1:3, 2:4] = (200, 0, 0, 255)
    rgba[0, 0] = (0, 0, 0, 128)
    texels = without_margin(one(save(tmp_path / "a.png", rgba), "none"))
    assert texels.shape == (4, 6, 4)
    assert (texels[..., 3] == 255).all()
    assert texels[1, 2].tolist() == [200, 0, 0, 255]
    assert texels[0, 0].tolist() == [127, 127, 127, 255]
    assert texels[3, 5].tolist() == [255, 255, 255, 255]


# The tools of the matte


def flooded(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The plain way: a step in each direction until nothing changes."""
    reached = mask & seeds
    while True:
        more = reached.copy()
        more[1:] |= reached[:-1]
        more[:-1] |= reached[1:]
        more[:, 1:] |= reached[:, :-1]
        more[:, :-1] |= reached[:, 1:]
        more &= mask
        if (more == reached).all():
            return reached
        reached = more


@pytest.mark.parametrize("density", [0.0, 0.3, 0.6, 0.65, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53)])
def test_connected_equals_a_plain_flood(density: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(int(density * 100))
    for _ in range(5):
        mask, seeds = rng.random(shape) < density, rng.random(shape) < 0.02
        np.testing.assert_array_equal(connected(mask, seeds), flooded(mask, seeds))


def test_border_color_is_not_drawn_towards_an_object_that_is_cut_off() -> None:
    picture = solid(100, 100, (250, 248, 240, 255))
    picture[80:, 20:70] = (20, 60, 20, 255)
    colour, plain = border_color(picture)
    assert colour.tolist() == [250, 248, 240]
    assert plain


# What comes with Smalti, as a scanner or a camera would deliver it


def opened(name: str) -> Image.Image:
    with Image.open(EXAMPLES / f"{name}.png") as image:
        return image.convert("RGBA")


@pytest.mark.parametrize("name", ["primitives/maple", "primitives/oak", "primitives/willow", "studio/brush_stroke"])
def test_a_mark_in_one_ink_loses_its_paper_everywhere(name: str, tmp_path: Path) -> None:
    """The shape in ink on uneven paper of a tone of its own, with the haze of JPEG around it."""
    coverage = np.asarray(opened(name))[..., 3] / 255
    paper = np.array([246, 243, 236]) + np.random.default_rng(0).normal(0, 1.5, (*coverage.shape, 1))
    path = save(tmp_path / "a.jpg", over(coverage, (38, 34, 52), paper), quality=85)
    template = one(path)
    visible = template.rgba[template.rgba[..., 3] > 0]
    assert visible[:, :3].max() < 110, "something nearly white is left"
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L")).astype(float)
    inked = (255 - grey) / (255 - np.median(grey[grey < 128]))
    shown = template.rgba[..., 3].sum() / 255
    # The paper's own tone and the haze, which must not be shown, are a few per cent of all darkness.
    assert 0.95 * coverage.sum() <= shown <= inked.clip(0, 1).sum()


@pytest.mark.parametrize("name", ["maple", "oak"])
def test_a_cut_out_that_was_flattened_to_jpeg_gets_its_alpha_back(name: str, tmp_path: Path) -> None:
    leaf = opened(f"primitives/{name}")
    flat = Image.new("RGBA", leaf.size, (255, 255, 255, 255))
    flat.alpha_composite(leaf)
    flat.convert("RGB").save(tmp_path / "a.jpg", quality=90)
    own = np.asarray(leaf)[..., 3].sum() / 255
    assert one(tmp_path / "a.jpg").rgba[..., 3].sum() / 255 == pytest.approx(own, rel=0.005)
