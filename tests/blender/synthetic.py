# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders made without the engine: drawn bitmaps, random sprites, and the picture that they must give.

The picture comes from a plain compositor written for these tests alone: it samples the bitmaps bilinearly,
premultiplied, at many points in every pixel, and averages. That is what a renderer with a box filter does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.composition import Header, TemplateFile, write_header
from smalti.bridge.folder import ARRAYS
from smalti.bridge.job import BlendSpace

Array = NDArray[np.float64]
LUMA = np.array([0.2126, 0.7152, 0.0722])

COLOR_CASES: tuple[tuple[BlendSpace, float, float, str, float], ...] = (
    ("srgb", 0.5, 0.0, "#d0c0a0", 50),
    ("srgb", 1.0, 0.0, "image", 50),
    ("srgb", 0.2, 0.8, "#d0c0a0", 50),
    ("linear", 0.5, 0.0, "transparent", 44),
    ("linear", 0.0, 0.0, "image", 44),
    ("linear", 0.0, 1.0, "image", 44),
)
"""Blend space, color mix, shade, background; and the least PSNR in dB of Cycles' picture against the engine's."""


def _bitmaps() -> dict[str, Array]:
    """Straight RGBA, 0 to 1, with a transparent margin of one texel and colors that go on under it."""
    drawn = {}
    for name, width, height in (("leaf", 64, 28), ("ring", 41, 41), ("tile", 20, 32)):
        y, x = np.mgrid[0:height, 0:width]
        u, v = (x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1
        radius = np.hypot(u, v)
        if name == "leaf":
            alpha = np.clip((1 - u**2 - np.abs(v)) * 6, 0, 1)
        elif name == "ring":
            alpha = np.clip((0.28 - np.abs(radius - 0.65)) * 8, 0, 1)
        else:
            alpha = np.ones_like(u)
        rgb = np.stack((0.5 + 0.5 * u, 0.5 - 0.4 * v, 0.3 + 0.6 * (u * v > 0)), -1)
        alpha[[0, -1]] = 0
        alpha[:, [0, -1]] = 0
        drawn[name] = np.round(np.concatenate((rgb, alpha[..., None]), -1) * 255) / 255
    return drawn


def decode(encoded: Array) -> Array:
    """sRGB-encoded numbers as linear ones."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode(linear: Array) -> Array:
    """Linear numbers as sRGB-encoded ones."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def _bilinear(texels: Array, x: Array, y: Array) -> Array:
    """Values of `texels` [h, w, 4] at texel coordinates (centers at whole numbers); 0 outside."""
    padded = np.pad(texels, ((1, 1), (1, 1), (0, 0)))
    x, y = np.clip(x + 1, 0, padded.shape[1] - 1.001), np.clip(y + 1, 0, padded.shape[0] - 1.001)
    column, row = x.astype(int), y.astype(int)
    fx, fy = (x - column)[..., None], (y - row)[..., None]
    top = padded[row, column] * (1 - fx) + padded[row, column + 1] * fx
    bottom = padded[row + 1, column] * (1 - fx) + padded[row + 1, column + 1] * fx
    mixed: Array = top * (1 - fy) + bottom * fy
    return mixed


def backdrop(width: int, height: int) -> Array:
    """A background image of the canvas's size, RGB, encoded: soft, so that no filter between pixels counts."""
    y, x = np.mgrid[0:height, 0:width]
    return np.round(np.stack((x / width, y / height, 0.5 + 0 * x), -1) * 255) / 255


def _template_coordinates(
    header: Header, arrays: dict[str, Array], frame: int, k: int, x: Array, y: Array
) -> tuple[Array, Array]:
    """Where canvas points lie on sprite k's bitmap, which fills -1 to 1 in both directions."""
    template = header.templates[arrays["template"][k]]
    scale, aspect, theta = (arrays[name][frame, k] for name in ("scale", "aspect", "theta"))
    longer = max(template.width, template.height)
    dx, dy = x - arrays["x"][frame, k], y - arrays["y"][frame, k]
    u = (np.cos(theta) * dx + np.sin(theta) * dy) / (scale * template.width / longer * np.exp(aspect / 2))
    v = (-np.sin(theta) * dx + np.cos(theta) * dy) / (scale * template.height / longer * np.exp(-aspect / 2))
    return u, v


def covered(header: Header, arrays: dict[str, Array], frame: int) -> Array:
    """How many sprites' rectangles lie over the center of each pixel."""
    y, x = np.mgrid[0 : header.height, 0 : header.width] + 0.5
    count = np.zeros(x.shape, int)
    for k in range(header.sprites):
        u, v = _template_coordinates(header, arrays, frame, k, x, y)
        count += (np.abs(u) < 1) & (np.abs(v) < 1)
    return count


def composite(header: Header, arrays: dict[str, Array], frame: int, bitmaps: list[Array], samples: int = 6) -> Array:
    """The picture, straight RGBA sRGB-encoded 0 to 1, of one frame: `bitmaps` straight and encoded, as in the PNGs."""
    linear = header.blend_space == "linear"
    # Premultiplied in the numbers of the blend space.
    texels = []
    for bitmap in bitmaps:
        rgb = decode(bitmap[..., :3]) if linear else bitmap[..., :3]
        texels.append(np.concatenate((rgb * bitmap[..., 3:], bitmap[..., 3:]), -1))
    y, x = (np.mgrid[0 : header.height * samples, 0 : header.width * samples] + 0.5) / samples
    image = np.zeros((*x.shape, 4))
    if header.background.startswith("#"):
        colour = np.array([int(header.background[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        image[...] = [*(decode(colour) if linear else colour), 1]
    elif header.background != "transparent":
        behind = backdrop(header.width, header.height).repeat(samples, 0).repeat(samples, 1)
        image[..., :3], image[..., 3] = decode(behind) if linear else behind, 1
    mix = header.colour_mix
    for k, index in enumerate(arrays["template"]):
        template, own = header.templates[index], texels[index]
        reach = 2 * arrays["scale"][frame, k] * np.exp(abs(arrays["aspect"][frame, k]) / 2)
        rows, columns = (
            slice(max(0, int((centre - reach) * samples)), max(0, int((centre + reach) * samples) + 1))
            for centre in (arrays["y"][frame, k], arrays["x"][frame, k])
        )
        u, v = _template_coordinates(header, arrays, frame, k, x[rows, columns], y[rows, columns])
        texel = _bilinear(own, (u + 1) / 2 * template.width - 0.5, (v + 1) / 2 * template.height - 0.5)
        rgb = (1 - mix) * arrays["tint"][frame, k] * texel[..., 3:] + mix * texel[..., :3]
        if header.shade:
            light = texel[..., :3] @ LUMA - (template.luma or 0) * texel[..., 3]
            rgb = np.clip(rgb + (1 - mix) * header.shade * light[..., None], 0, texel[..., 3:])
        layer = np.concatenate((rgb, texel[..., 3:]), -1) * arrays["opacity"][frame, k]
        image[rows, columns] = layer + (1 - layer[..., 3:]) * image[rows, columns]
    image = image.reshape(header.height, samples, header.width, samples, 4).mean((1, 3))
    rgb = np.divide(image[..., :3], image[..., 3:], out=np.zeros_like(image[..., :3]), where=image[..., 3:] > 0)
    return np.asarray(np.concatenate((encode(rgb) if linear else rgb, image[..., 3:]), -1).clip(0, 1))


def random_arrays(
    rng: np.random.Generator, count: int, frames: int, width: int, height: int, templates: int
) -> dict[str, Any]:
    """Sprites that drift and turn more than once round; the last fifth stands still."""
    time = np.linspace(0, 1, frames)[:, None]
    moves = np.ones(count)
    moves[count - count // 5 :] = 0

    def track(low: float, high: float, drift: float) -> Array:
        start, change = rng.uniform(low, high, count), rng.uniform(-drift, drift, count) * moves
        moved: Array = start + time * change
        return moved

    size = np.geomspace(0.4, 0.12, count) * max(width, height)
    arrays = {
        "x": track(0, width, width / 4),
        "y": track(0, height, height / 4),
        "scale": size * track(0.7, 1.3, 0.3),
        "aspect": track(-0.4, 0.4, 0.2),
        "theta": track(-4, 4, 8),
        "opacity": track(0.4, 1.0, 0.3).clip(0, 1),
        "tint": np.stack([track(0, 1, 0.3).clip(0, 1) for _ in range(3)], -1),
    }
    return {
        "template": rng.integers(0, templates, count).astype(np.int32),
        **{name: values.astype(np.float32) for name, values in arrays.items()},
    }


def write_bitmaps(folder: Path) -> dict[str, Array]:
    """Write the drawn bitmaps as PNG; returns them."""
    bitmaps = _bitmaps()
    folder.mkdir(parents=True)
    for name, bitmap in bitmaps.items():
        Image.fromarray((bitmap * 255).round().astype(np.uint8)).save(folder / f"{name}.png")
    return bitmaps


def mean_luma(bitmap: Array, space: BlendSpace) -> float:
    """The mean luma of a straight, encoded bitmap in a blend space, weighted by alpha."""
    rgb = decode(bitmap[..., :3]) if space == "linear" else bitmap[..., :3]
    return float((rgb @ LUMA * bitmap[..., 3]).sum() / bitmap[..., 3].sum())


def write_job(
    folder: Path,
    *,
    count: int = 60,
    frames: int = 1,
    width: int = 96,
    height: int = 64,
    space: BlendSpace = "srgb",
    mix: float = 0.5,
    shade: float = 0.0,
    background: str = "#d0c0a0",
    frame_rate: float = 24.0,
    seed: int = 0,
    pictures: bool = True,
) -> Header:
    """Write a finished job: header, arrays, bitmaps, and with `pictures` what they look like.

    `background` may also be ``"image"``: a picture in the job folder.
    """
    bitmaps = write_bitmaps(folder / "templates")
    if background == "image":
        background = "background.png"
        Image.fromarray((backdrop(width, height) * 255).round().astype(np.uint8)).save(folder / background)
    header = Header(
        width=width,
        height=height,
        sprites=count,
        frames=frames,
        blend_space=space,
        colour_mix=mix,
        background=background,
        frame_rate=frame_rate,
        templates=tuple(
            TemplateFile(n, f"templates/{n}.png", b.shape[1], b.shape[0], mean_luma(b, space) if shade else None)
            for n, b in bitmaps.items()
        ),
        engine_version="0",
        shade=shade,
    )
    arrays = random_arrays(np.random.default_rng(seed), count, frames, width, height, len(bitmaps))
    np.savez(folder / ARRAYS, **arrays)
    write_header(folder, header)
    if pictures:
        if frames > 1:
            (folder / "render").mkdir()
        for frame in range(frames):
            path = folder / (f"render/{frame + 1:04d}.png" if frames > 1 else "render.png")
            picture = composite(header, arrays, frame, list(bitmaps.values()))
            Image.fromarray((picture * 255).round().astype(np.uint8)).save(path)
    return header


def write_color_jobs(folder: Path) -> list[Path]:
    """Write a job for each of `COLOR_CASES`."""
    jobs = [folder / f"Kräuter {number}" for number in range(len(COLOR_CASES))]
    for job, (space, mix, shade, background, _) in zip(jobs, COLOR_CASES, strict=True):
        write_job(job, space=space, mix=mix, shade=shade, background=background, width=72, height=96, count=40)
    return jobs
