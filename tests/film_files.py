# SPDX-License-Identifier: GPL-3.0-or-later
"""Small films in files. Tests that need them are skipped where PyAV is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

av: Any = pytest.importorskip("av")


@dataclass(frozen=True)
class Written:
    """How a film is written.

    Attributes:
        codec, pixels: FFmpeg's names of them.
        size: width and height.
        rate: frames per second.
        key_every: frames from one key frame to the next.
        times: when each frame begins, in milliseconds, if not at a constant rate.
        rotation: degrees, counterclockwise, by which players turn it.
        aspect: width of a pixel over its height.
    """

    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (48, 32)
    rate: int = 25
    key_every: int = 4
    times: Sequence[int] = ()
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    options: dict[str, str] = field(default_factory=dict)


def level(frame: int) -> int:
    """The red of a frame of `write_film`; its green is 255 less that."""
    return 20 * frame % 256


def plain(frame: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """[height, width, 4]: a plain color with a white block at the top, transparent in the left half."""
    rgba = np.zeros((size[1], size[0], 4), np.uint8)
    rgba[:] = (level(frame), 255 - level(frame), 128, 255)
    half = size[0] // 2
    rgba[: size[1] // 4, half : half + size[0] // 4, :3] = 255
    rgba[:, :half, 3] = 0
    return rgba


def write_film(path: Path, frames: int = 12, how: Written = Written()) -> Path:
    """A film of frames as `plain` has them."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(how.codec, rate=how.rate, options=how.options)
        stream.width, stream.height = how.size
        stream.pix_fmt = how.pixels
        stream.codec_context.gop_size = how.key_every
        stream.codec_context.sample_aspect_ratio = how.aspect
        if how.rotation:
            stream.set_display_rotation(how.rotation)
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(plain(k, how.size), format="rgba").reformat(format=how.pixels)
            frame.pts, frame.time_base = (how.times[k], Fraction(1, 1000)) if how.times else (k, Fraction(1, how.rate))
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path
