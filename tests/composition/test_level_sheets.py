# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduced bitmaps: sampled as their page says, they give the picture of the engine."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jobs import Floats, a_composition, save

from smalti.bridge.composition import TemplateFile
from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import LEVELS, level_file, template_file
from smalti.bridge.job import BlendSpace
from smalti.bridge.levels import Sheet, place_of, read_sheets, size_of
from smalti.engine.composition import Composition
from smalti.engine.composition.level_sheets import write_level_sheets
from smalti.engine.composition.render import render
from smalti.engine.templates import load_templates


def a_job(folder: Path, space: BlendSpace, frames: int = 1) -> Composition:
    """Sprites of two large bitmaps that grow over the frames, in a folder with their sheets."""
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        pixels = rng.integers(0, 256, (150, 260, 4), np.uint8)
        pixels[..., 3] = np.where(np.hypot(*np.mgrid[-1:1:150j, -1:1:260j]) < 1, 255, 0)
        save(folder / "large" / f"{name}.png", pixels)
    templates = load_templates(folder / "large")
    files = tuple(TemplateFile(t.name, template_file(i), t.width, t.height) for i, t in enumerate(templates))
    made = a_composition(folder, frames)
    made = replace(
        made,
        header=replace(made.header, blend_space=space, templates=files),
        templates=templates,
        scale=made.scale + 6,
        atlases=None,
    )
    made.save(folder)
    write_level_sheets(folder, made)
    return made


def files_of(composition: Composition) -> list[str]:
    return [template.file for template in composition.header.templates]


def numbers_of(path: Path) -> Floats:
    """The pixels of a PNG that was written by rows less those above, 0 to 1."""
    data = path.read_bytes()
    width, height, depth = struct.unpack(">IIB", data[16:25])
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    plain = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    numbers: Floats = plain.view(">u1" if depth == 8 else ">u2").reshape(height, width, 4) / (2.0**depth - 1)
    return numbers


def sampled(sheet: Sheet, texels: Floats, u: Floats, v: Floats, level: int) -> Floats:
    """Values of one level at template coordinates, -1 to 1: bilinear between the middles of texels."""
    width, height = size_of(sheet, level)
    left, top = place_of(sheet, level)
    x = left - 0.5 + np.clip((u + 1) / 2 * width, -0.5, width + 0.5)
    y = top - 0.5 + np.clip((v + 1) / 2 * height, -0.5, height + 0.5)
    column, row = (np.minimum(np.floor(at).astype(int), size - 2) for at, size in zip((x, y), texels.shape[1::-1]))
    right, down = (x - column)[..., None], (y - row)[..., None]
    upper = texels[row, column] * (1 - right) + texels[row, column + 1] * right
    lower = texels[row + 1, column] * (1 - right) + texels[row + 1, column + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def drawn(composition: Composition, folder: Path, frame: int) -> Floats:
    """The picture of a frame, out of the sheets alone."""
    header = composition.header
    sheets = read_sheets(folder, files_of(composition))
    y, x = np.mgrid[0 : header.height, 0 : header.width] + 0.5
    background = composition.background(header.width, header.height)
    assert background is not None
    image: Floats = background.make(range(header.height)).astype(float)
    sprites = composition.sprites(frame).double()
    maps = sprites.affine(composition.shapes)
    for k, index in enumerate(sprites.template.tolist()):
        a, b, c, d, e, f = maps[k]
        sheet = sheets[index]
        assert sheet
        texels = numbers_of(folder / level_file(index))
        level = 0.5 * np.log2(abs(a * e - b * d) * sheet.width * sheet.height / 4) - 0.6
        assert -1 <= level <= sheet.count, "what sprites show lies on the sheet"
        level = np.clip(level, 0, sheet.count - 1)
        place = (a * x + b * y + c, d * x + e * y + f)
        fine, coarse = int(level), min(int(level) + 1, sheet.count - 1)
        texel = sampled(sheet, texels, *place, fine)
        texel += (level - fine) * (sampled(sheet, texels, *place, coarse) - texel)
        inside = (np.abs(place[0]) < 1 + 1 / size_of(sheet, coarse)[0]) & (
            np.abs(place[1]) < 1 + 1 / size_of(sheet, coarse)[1]
        )
        own = header.colour_mix * texel[..., :3] + (1 - header.colour_mix) * sprites.tint[k] * texel[..., 3:]
        layer = sprites.opacity[k] * np.dstack((own, texel[..., 3:])) * inside[..., None]
        image = layer + (1 - layer[..., 3:]) * image
    return np.asarray(image)


@pytest.mark.parametrize(("space", "least"), [("srgb", 3 / 255), ("linear", 1e-3)])
def test_the_sheets_give_the_engines_picture_in_every_frame(tmp_path: Path, space: BlendSpace, least: float) -> None:
    made = a_job(tmp_path, space, frames=3)
    for frame in range(3):
        assert np.abs(drawn(made, tmp_path, frame) - render(made, frame)).max() < least
    sheets = read_sheets(tmp_path, files_of(made))
    assert all(sheet and sheet.width < 260 and sheet.count >= 2 for sheet in sheets), "they are smaller"


def test_levels_do_not_touch_each_other(tmp_path: Path) -> None:
    for width in range(1, 70):
        for count in range(1, 8):
            sheet = Sheet(width, 2 * width, count, 0)
            ends = 0
            for level in range(count):
                left, top = place_of(sheet, level)
                assert left >= ends + 1
                assert top >= 1
                ends = left + size_of(sheet, level)[0] + 1
            assert ends == sheet.pixels[0]


def test_a_bitmap_that_was_edited_has_no_sheet_any_more(tmp_path: Path) -> None:
    made = a_job(tmp_path, "srgb")
    files = files_of(made)
    with open(tmp_path / files[0], "ab") as file:
        file.write(b"edited")
    found = read_sheets(tmp_path, files)
    assert found[0] is None
    assert found[1] is not None
    (tmp_path / level_file(1)).unlink()
    assert read_sheets(tmp_path, files) == (None, None)


def test_an_earlier_job_folder_has_no_sheets(tmp_path: Path) -> None:
    a_composition(tmp_path).save(tmp_path)
    assert read_sheets(tmp_path, ["templates/0001.png"]) == (None,)


def test_sheets_of_another_composition_are_refused(tmp_path: Path) -> None:
    made = a_job(tmp_path, "srgb")
    with pytest.raises(SmaltiError, match="does not belong"):
        read_sheets(tmp_path, files_of(made)[:1])
    told = json.loads((tmp_path / LEVELS).read_text())
    told["sheets"][0]["count"] = 0
    (tmp_path / LEVELS).write_text(json.dumps(told))
    with pytest.raises(SmaltiError, match="does not belong"):
        read_sheets(tmp_path, files_of(made))
