# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures, bitmaps and jobs, and what to look at in a job folder."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.job import JobSpec
from smalti.engine.composition import Composition
from smalti.engine.templates import load_templates

Floats = NDArray[np.floating[Any]]


def slow(*values: Any) -> Any:
    """A row of `pytest.mark.parametrize` that belongs to the slow tests."""
    return pytest.param(*values, marks=pytest.mark.slow)


def ramp(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """[height, width, 3]: colors that change smoothly from corner to corner."""
    y, x = np.mgrid[0:height, 0:width]
    x, y = x / max(width - 1, 1), y / max(height - 1, 1)
    return np.asarray(np.rint(255 * np.stack([x, y, 1 - x], axis=-1)), np.uint8)


def badge(size: int = 64) -> NDArray[np.uint8]:
    """[size, size, 4]: an orange disc with a blue bar, transparent outside."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    rgba = np.zeros((size, size, 4), np.uint8)
    rgba[x**2 + y**2 < 0.6] = (240, 140, 30, 255)
    rgba[(abs(y) < 0.2) & (abs(x) < 0.6)] = (20, 60, 200, 255)
    return rgba


def save(path: Path, pixels: NDArray[np.unsignedinteger[Any]]) -> Path:
    """Write a picture in the format that the name's end says; gray levels may have 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def bitmaps(folder: Path) -> Path:
    """A folder with two bitmaps: a soft disc and a bar."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    for name, alpha, colour in (
        ("disc", np.clip(4 * (0.9 - np.hypot(x, y)), 0, 1), (230, 200, 60)),
        ("bar", (abs(y) < 0.3) * 1.0, (40, 90, 160)),
    ):
        rgba = np.empty((32, 32, 4), np.uint8)
        rgba[..., :3] = colour
        rgba[..., 3] = np.rint(255 * alpha)
        save(folder / f"{name}.png", rgba)
    return folder


def small_job(folder: Path, **settings: Any) -> JobSpec:
    """A job of 24 sprites and 12 steps with its pictures in `folder`; `settings` replace what is usual."""
    usual: dict[str, Any] = {"count": 24, "steps": 12, "frame_steps": 4}
    if "target" not in settings:
        usual["target"] = str(save(folder / "target.png", ramp()))
    if "primitives" not in settings:
        usual["primitives"] = str(bitmaps(folder / "primitives"))
    return JobSpec(**{**usual, **settings})


def film(folder: Path, frames: int = 3) -> Path:
    """A folder of frames, 01.png and so on: a bright square that moves to the right."""
    for frame in range(frames):
        pixels = ramp(64, 48) // 3
        pixels[12:32, 6 + 6 * frame : 26 + 6 * frame] = (250, 230, 120)
        save(folder / f"{frame + 1:02d}.png", pixels)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path, byte for byte."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def arrays_of(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a job's frames.npz."""
    with np.load(folder / "frames.npz", allow_pickle=False) as data:
        return dict(data)


def pixels_of(path: Path) -> Floats:
    """[H, W, 4] premultiplied sRGB, 0 to 1."""
    pixels = np.asarray(Image.open(path).convert("RGBA")).astype(np.float64) / 255
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


def resized(premultiplied: Floats, width: int, height: int) -> Floats:
    """Lanczos, channel by channel."""
    planes = [Image.fromarray(premultiplied[..., c].astype(np.float32)) for c in range(4)]
    scaled = [np.asarray(p.resize((width, height), Image.Resampling.LANCZOS), np.float64) for p in planes]
    return np.clip(np.stack(scaled, axis=-1), 0, 1)


def decibels(a: Floats, b: Floats) -> float:
    """Peak signal-to-noise ratio, peak 1; infinite where nothing differs."""
    error = float(np.mean((a - b) ** 2))
    return -10 * np.log10(error) if error else np.inf


def png_that_declares(width: int, height: int) -> bytes:
    """A small PNG file whose header promises a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Within, `folder` is a file system of its own, in memory; skips where that is not permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write a file until the disk is full."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def a_composition(folder: Path, frames: int = 2, background: str = "#102030") -> Composition:
    """Five sprites of two bitmaps."""
    templates = load_templates(bitmaps(folder / "bitmaps"))
    rng = np.random.default_rng(4)
    arrays: dict[str, Any] = {
        "x": rng.uniform(0, 40, (frames, 5)),
        "y": rng.uniform(0, 30, (frames, 5)),
        "scale": rng.uniform(2, 9, (frames, 5)),
        "aspect": rng.uniform(-0.2, 0.2, (frames, 5)),
        "theta": rng.uniform(-3, 3, (frames, 5)),
        "opacity": rng.uniform(0, 1, (frames, 5)),
        "tint": rng.uniform(0, 1, (frames, 5, 3)),
    }
    files = [TemplateFile(t.name, f"templates/{i:04d}.png", t.width, t.height) for i, t in enumerate(templates)]
    header = Header(40, 30, 5, frames, "linear", 0.25, background, 12.5, tuple(files), "0.1.0")
    return Composition(
        header,
        templates,
        np.array([0, 1, 0, 1, 1], np.int32),
        **{name: array.astype(np.float32) for name, array in arrays.items()},
        background_image=badge(16) if background.endswith(".png") else None,
    )
