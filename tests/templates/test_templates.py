# SPDX-License-Identifier: GPL-3.0-or-later
"""From the artist's bitmaps to templates."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import Mask
from smalti.engine import templates
from smalti.engine.templates import Template, bled, load_templates, read_template, save_template
from smalti.engine.templates.matte import border_colour, connected

DATA = Path(__file__).parents[3] / "shared" / "data" / "primitives"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared primitives are not here")

WHITE = (255, 255, 255)


def disc(size: int, radius: float) -> NDArray[np.float64]:
    """Coverage [size, size], 0 to 1, of a disc in the middle, each pixel sampled 16 x 16 times."""
    at = (np.arange(size * 16) + 0.5) / 16 - size / 2
    inside = (at[:, None] ** 2 + at[None, :] ** 2 <= radius**2).astype(np.float64)
    return inside.reshape(size, 16, size, 16).mean(axis=(1, 3))


def over(coverage: NDArray[np.float64], colour: object, background: object) -> NDArray[np.uint8]:
    a = coverage[..., None]
    return np.rint(a * np.asarray(colour) + (1 - a) * np.asarray(background)).astype(np.uint8)


def petals(size: int) -> NDArray[np.float64]:
    """[size, size, 3] colours, 0 to 255, that vary smoothly and lie on no line."""
    y, x = np.mgrid[:size, :size] / size
    return np.stack([120 + 100 * np.sin(3 * x), 60 + 50 * np.cos(4 * y), 40 + 90 * x * y], axis=-1)


def save(path: Path, pixels: NDArray[np.uint8], **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def one(path: Path, mask: Mask = "auto") -> Template:
    (template,) = load_templates(path, mask=mask)
    return template


def solid(height: int, width: int, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full((height, width, len(colour)), colour, np.uint8)


def without_margin(template: Template) -> NDArray[np.uint8]:
    return template.rgba[1:-1, 1:-1]


def trimmed(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# Own alpha


def test_own_alpha_is_kept_soft_and_colours_exact(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(1, 256, (12, 9, 4), dtype=np.uint8)
    np.testing.assert_array_equal(without_margin(one(save(tmp_path / "a.png", rgba))), rgba)


def test_trimming_is_exact_and_the_margin_one_texel(tmp_path: Path) -> None:
    rgba = solid(40, 50, (10, 20, 30, 0))
    rgba[7:19, 11:42] = (200, 100, 50, 255)
    rgba[6, 20] = (200, 100, 50, 1)  # the faintest texel counts
    template = one(save(tmp_path / "a.png", rgba))
    assert (template.height, template.width) == (13 + 2, 31 + 2)
    np.testing.assert_array_equal(without_margin(template)[..., 3], rgba[6:19, 11:42, 3])
    for edge in (template.rgba[0], template.rgba[-1], template.rgba[:, 0], template.rgba[:, -1]):
        assert (edge[..., 3] == 0).all()


def test_alpha_on_the_border_gets_its_margin_too(tmp_path: Path) -> None:
    template = one(save(tmp_path / "a.png", solid(3, 5, (9, 8, 7, 120))))
    assert template.rgba.shape == (5, 7, 4)
    assert (without_margin(template) == (9, 8, 7, 120)).all()


def test_transparent_texels_carry_the_colour_of_their_neighbours(tmp_path: Path) -> None:
    rgba = solid(30, 30, (0, 0, 0, 0))
    rgba[5:25, 5:12] = (200, 100, 50, 255)
    rgba[5:25, 18:25] = (20, 40, 250, 90)
    template = one(save(tmp_path / "a.png", rgba))
    assert (template.rgba[:, 0, :3] == (200, 100, 50)).all()
    assert (template.rgba[:, -1, :3] == (20, 40, 250)).all()
    inside = template.rgba[10, 8:14]
    assert (inside[:, 3] == 0).all()
    assert inside[0, :3].tolist() == [200, 100, 50]
    assert inside[-1, :3].tolist() == [20, 40, 250]


def test_bleeding_leaves_alpha_and_visible_colours_alone() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (33, 18, 4), dtype=np.uint8)
    rgba[5:30, 3:15, 3] = 0
    result = bled(rgba)
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    np.testing.assert_array_equal(result[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])


def test_alpha_that_is_opaque_but_for_noise_does_not_count_as_transparency(tmp_path: Path) -> None:
    rgb = over(disc(40, 12), (200, 30, 30), WHITE)
    alpha = np.full((40, 40, 1), 255, np.uint8)
    alpha[3, 3] = 253
    assert one(save(tmp_path / "a.png", np.dstack([rgb, alpha]))).width == pytest.approx(26, abs=1)


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
    # Colours of faint texels are uncertain by rounding: compare what they add to a picture, premultiplied.
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


# Folders, names, limits


def test_a_folder_gives_its_bitmaps_in_natural_order(tmp_path: Path) -> None:
    for name in ("leaf10", "leaf2", "Ähre 花"):
        save(tmp_path / f"{name}.png", solid(3, 3, (1, 2, 3, 200)))
    (tmp_path / "readme.txt").write_text("text")
    assert [t.name for t in load_templates(tmp_path)] == ["leaf2", "leaf10", "Ähre 花"]
    assert [t.name for t in load_templates(str(tmp_path))] == ["leaf2", "leaf10", "Ähre 花"]


def test_names_are_unique_even_where_case_does_not_count(tmp_path: Path) -> None:
    for name in ("leaf.png", "leaf.tiff", "leaf_2.png", "LEAF.webp"):
        save(tmp_path / name, solid(3, 3, (1, 2, 3, 200)))
    names = [t.name for t in load_templates(tmp_path)]
    assert len({n.casefold() for n in names}) == 4
    assert "leaf_2" in names


def test_broken_bitmaps_in_a_folder_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = save(tmp_path / "good.png", solid(3, 3, (1, 2, 3, 200)))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("text")
    save(tmp_path / "clear.png", solid(3, 3, (1, 2, 3, 0)))
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    half = save(tmp_path / "half.png", noise)
    half.write_bytes(half.read_bytes()[:2000])
    with caplog.at_level(logging.WARNING, "smalti"):
        assert [t.name for t in load_templates(tmp_path)] == [good.stem]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 4
    for name in ("empty.png", "text.jpg", "clear.png", "half.png"):
        assert sum(name in message for message in messages) == 1


def test_a_folder_with_only_broken_bitmaps_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_text("text")
    with pytest.raises(SmaltiError) as caught:
        load_templates(tmp_path)
    assert caught.value.code == "no_usable_bitmap"
    assert str(tmp_path) in caught.value.message
    assert "a.png" in caught.value.message


def test_folders_without_pictures_and_missing_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError) as caught:
        load_templates(tmp_path)
    assert caught.value.code == "folder_empty"
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(SmaltiError) as caught:
        load_templates(tmp_path)
    assert caught.value.code == "no_pictures"
    with pytest.raises(SmaltiError) as caught:
        load_templates(tmp_path / "none")
    assert caught.value.code == "picture_missing"


def test_a_single_broken_bitmap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(SmaltiError) as caught:
        load_templates(tmp_path / "a.png")
    assert caught.value.code == "picture_empty"


@pytest.mark.parametrize("mask", ["auto", "alpha", "background", "luminance", "none"])
def test_a_fully_transparent_bitmap_is_refused(tmp_path: Path, mask: Mask) -> None:
    with pytest.raises(SmaltiError, match=r"a\.png.*fully transparent") as caught:
        load_templates(save(tmp_path / "a.png", solid(5, 5, (1, 2, 3, 0))), mask=mask)
    assert caught.value.code == "bitmap_transparent"


def test_large_bitmaps_are_reduced_to_the_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png", solid(20, 5000, (1, 2, 3, 200)))
    with caplog.at_level(logging.INFO, "smalti"):
        template = one(tmp_path / "a.png")
    assert (template.height, template.width) == (16 + 2, templates.MAX_SIDE + 2)
    assert "4096" in caplog.text


def test_many_bitmaps_stay_within_the_total_and_small_ones_keep_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MAX_TEXELS", 20_000)
    for number in range(4):
        save(tmp_path / f"{number}.png", solid(100, 200, (1, 2, 3, 200)))
    save(tmp_path / "small.png", solid(10, 20, (1, 2, 3, 200)))
    loaded = load_templates(tmp_path)
    total = sum((t.width - 2) * (t.height - 2) for t in loaded)
    assert 18_000 <= total <= 20_400
    assert (loaded[-1].width, loaded[-1].height) == (22, 12)


# Files of a job folder


def test_a_saved_template_reads_back_texel_for_texel(tmp_path: Path) -> None:
    template = one(save(tmp_path / "a.png", over(disc(50, 18), petals(50), WHITE)))
    save_template(template, tmp_path / "saved.png")
    back = read_template(tmp_path / "saved.png", "name")
    assert back.name == "name"
    np.testing.assert_array_equal(back.rgba, template.rgba)


def test_coverage_and_mean_colour_count_alpha() -> None:
    rgba = solid(2, 2, (0, 0, 0, 0))
    rgba[0, 0] = (255, 0, 0, 255)
    rgba[0, 1] = (0, 0, 255, 51)
    template = Template("a", rgba)
    assert template.coverage == pytest.approx(1.2 / 4)
    assert template.mean_colour == pytest.approx((1 / 1.2, 0, 0.2 / 1.2))


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


def test_border_colour_is_not_drawn_towards_an_object_that_is_cut_off() -> None:
    picture = solid(100, 100, (250, 248, 240, 255))
    picture[80:, 20:70] = (20, 60, 20, 255)
    colour, plain = border_colour(picture)
    assert colour.tolist() == [250, 248, 240]
    assert plain


# Real bitmaps


@needs_data
def test_real_cut_outs_keep_their_own_alpha() -> None:
    for template, file in zip(load_templates(DATA / "flowers"), sorted((DATA / "flowers").iterdir())):
        own = np.asarray(Image.open(file))[..., 3]
        np.testing.assert_array_equal(without_margin(template)[..., 3], trimmed(own))


@needs_data
def test_real_marks_lose_their_paper_everywhere() -> None:
    for template, file in zip(load_templates(DATA / "marks"), sorted((DATA / "marks").iterdir())):
        visible = template.rgba[template.rgba[..., 3] > 0]
        assert template.name == file.stem
        assert visible[:, :3].max() < 110, "something nearly white is left"
        grey = np.asarray(Image.open(file).convert("L")).astype(float)
        inked = (255 - grey) / (255 - np.median(grey[grey < 128]))
        shown = template.rgba[..., 3].sum() / 255
        # The paper's own tone and the haze of JPEG, which must not be shown, are a few per cent of all darkness.
        assert 0.95 * inked.clip(0, 1).sum() <= shown <= inked.clip(0, 1).sum()


@needs_data
def test_a_real_cut_out_that_was_flattened_to_jpeg_gets_its_alpha_back(tmp_path: Path) -> None:
    flower = Image.open(DATA / "flowers" / "Gerbera1.png")
    flat = Image.new("RGBA", flower.size, (255, 255, 255, 255))
    flat.alpha_composite(flower)
    flat.convert("RGB").save(tmp_path / "a.jpg", quality=90)
    own = np.asarray(flower)[..., 3].sum() / 255
    assert one(tmp_path / "a.jpg").rgba[..., 3].sum() / 255 == pytest.approx(own, rel=0.005)
