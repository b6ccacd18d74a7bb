# SPDX-License-Identifier: GPL-3.0-or-later
"""Large bitmaps that are drawn small: a render equals the engine's picture, in every frame, at any size of a sprite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from pictures import premultiplied
from PIL import Image
from synthetic import decode, random_arrays

from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.folder import template_file
from smalti.bridge.job import BlendSpace
from smalti.engine.composition import Composition
from smalti.engine.composition.level_sheets import write_level_sheets
from smalti.engine.composition.render import picture
from smalti.engine.raster.atlas import mean_luma
from smalti.engine.templates import Template

pytestmark = [pytest.mark.blender, pytest.mark.slow]

CASES: tuple[tuple[BlendSpace, float, float, str], ...] = (
    ("srgb", 0.0, 0.0, "#d0c0a0"),
    ("srgb", 0.5, 0.0, "transparent"),
    ("srgb", 0.2, 0.8, "#203040"),
    ("linear", 0.5, 0.0, "transparent"),
    ("linear", 1.0, 0.0, "#d0c0a0"),
)
"""Blend space, color mix, shade, background."""
FRAMES = 3


def detailed(width: int, height: int, seed: int) -> Template:
    """A bitmap full of detail, down to single texels, with a ragged outline or none."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    stripes = np.sin(60 * x * y)[..., None] * (0.4, 0.3, 0.2) + rng.uniform(0, 0.4, (height, width, 3)) + 0.3
    alpha = np.ones((height, width)) if seed == 0 else np.clip(20 * (0.9 + 0.1 * np.sin(40 * x) - np.hypot(x, y)), 0, 1)
    alpha[[0, -1]] = alpha[:, [0, -1]] = 0
    return Template(str(seed), np.rint(255 * np.dstack((np.clip(stripes, 0, 1), alpha))).astype(np.uint8))


def write_job(folder: Path, space: BlendSpace, mix: float, shade: float, background: str) -> None:
    """A finished film of the engine, without a fit."""
    templates = [detailed(512, 512, 0), detailed(700, 300, 1), detailed(333, 640, 2)]
    files = []
    for index, template in enumerate(templates):
        rgba = template.rgba / 255
        rgb = decode(rgba[..., :3]) if space == "linear" else rgba[..., :3]
        luma = mean_luma(np.dstack((rgb * rgba[..., 3:], rgba[..., 3:])))
        files.append(TemplateFile(template.name, template_file(index), template.width, template.height, luma))
    header = Header(96, 72, 250, FRAMES, space, mix, background, 24.0, tuple(files), "0", shade)
    arrays = random_arrays(np.random.default_rng(1), 250, FRAMES, 96, 72, len(templates))
    arrays["scale"] = np.maximum(arrays["scale"] * 0.6, 2)
    made = Composition(header, templates, **arrays)
    made.save(folder)
    write_level_sheets(folder, made)
    (folder / "render").mkdir()
    for frame in range(FRAMES):
        Image.fromarray(picture(made, frame)).save(folder / "render" / f"{frame + 1:04d}.png")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_render_equals_the_engines_picture(
    blender: Blender, tmp_path: Path, case: tuple[BlendSpace, float, float, str]
) -> None:
    write_job(tmp_path, *case)
    renders = [(frame + 1, tmp_path / f"{frame}.png") for frame in range(FRAMES)]
    blender.run("import_job", job=tmp_path, renders=renders)
    for frame, path in renders:
        wanted = premultiplied(tmp_path / "render" / f"{frame:04d}.png")
        off = 255 * np.abs(premultiplied(path) - wanted)
        assert off.mean() < 0.5, frame
        assert np.percentile(off, 99.9) <= 2, frame
