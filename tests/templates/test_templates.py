# SPDX-License-Identifier: GPL-3.0-or-later
"""From the artist's bitmaps to templates: own alpha, folders, names, limits, files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from mattes import WHITE, disc, one, over, petals, save, solid, trimmed, without_margin
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import Mask
from smalti.engine import templates
from smalti.engine.templates import Template, load_templates, read_template, save_templates

EXAMPLES = Path(__file__).parents[2] / "examples"


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


def test_alpha_that_is_opaque_but_for_noise_does_not_count_as_transparency(tmp_path: Path) -> None:
    rgb = over(disc(40, 12), (200, 30, 30), WHITE)
    alpha = np.full((40, 40, 1), 255, np.uint8)
    alpha[3, 3] = 253
    assert one(save(tmp_path / "a.png", np.dstack([rgb, alpha]))).width == pytest.approx(26, abs=1)


def test_drawn_cut_outs_keep_their_own_alpha() -> None:
    folder = EXAMPLES / "primitives"
    for template, file in zip(load_templates(folder), sorted(folder.iterdir()), strict=True):
        with Image.open(file) as image:
            own = np.asarray(image)[..., 3]
        np.testing.assert_array_equal(without_margin(template)[..., 3], trimmed(own))


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
    save_templates([template], [tmp_path / "saved.png"])
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
