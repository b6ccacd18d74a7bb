# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished jobs of the engine without a fit: random sprites of large bitmaps, that grow and shrink over the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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

FRAMES = 3

Case = tuple[BlendSpace, float, float, str]
"""Blend space, color mix, shade, background."""

CASES: tuple[Case, ...] = (
    ("srgb", 0.0, 0.0, "#d0c0a0"),
    ("srgb", 0.5, 0.0, "transparent"),
    ("srgb", 0.2, 0.8, "#203040"),
    ("linear", 0.5, 0.0, "transparent"),
    ("linear", 1.0, 0.0, "#d0c0a0"),
)


def detailed(width: int, height: int, seed: int) -> Template:
    """A bitmap full of detail, down to single texels, with a ragged outline or none."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    stripes = np.sin(60 * x * y)[..., None] * (0.4, 0.3, 0.2) + rng.uniform(0, 0.4, (height, width, 3)) + 0.3
    alpha = np.ones((height, width)) if seed == 0 else np.clip(20 * (0.9 + 0.1 * np.sin(40 * x) - np.hypot(x, y)), 0, 1)
    alpha[[0, -1]] = alpha[:, [0, -1]] = 0
    return Template(str(seed), np.rint(255 * np.dstack((np.clip(stripes, 0, 1), alpha))).astype(np.uint8))


def write_job(folder: Path, space: BlendSpace, mix: float, shade: float, background: str, count: int = 250) -> None:
    """A finished film of the engine, without a fit."""
    folder.mkdir(exist_ok=True)
    templates = [detailed(512, 512, 0), detailed(700, 300, 1), detailed(333, 640, 2)]
    files = []
    for index, template in enumerate(templates):
        rgba = template.rgba / 255
        rgb = decode(rgba[..., :3]) if space == "linear" else rgba[..., :3]
        luma = mean_luma(np.dstack((rgb * rgba[..., 3:], rgba[..., 3:])))
        files.append(TemplateFile(template.name, template_file(index), template.width, template.height, luma))
    header = Header(96, 72, count, FRAMES, space, mix, background, 24.0, tuple(files), "0", shade)
    arrays = random_arrays(np.random.default_rng(1), count, FRAMES, 96, 72, len(templates))
    arrays["scale"] = np.maximum(arrays["scale"] * 0.6, 2)
    made = Composition(header, templates, **arrays)
    made.save(folder)
    write_level_sheets(folder, made)
    (folder / "render").mkdir()
    for frame in range(FRAMES):
        Image.fromarray(picture(made, frame)).save(folder / "render" / f"{frame + 1:04d}.png")
