# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job as a film: all its frames, at its frame rate, in one file or as pictures in a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import picture_name

from ..arrays import UInt8Array
from ..bitmaps import bled
from ..composition import Composition, load_composition
from ..composition.render import canvas_of
from ..composition.shutter import exposed_strips
from ..files.atomic import write_atomic
from ..files.constant_rate import exact_rate
from ..files.images import write_png
from ..files.pyav import load_pyav, reason_of
from .gif_colors import GifColors, gif_colors

logger = logging.getLogger(__name__)

MAX_SIZE = 8192
"""Longest side of a film, pixels."""
NO_OPACITY = 255
"""Of pictures without transparency."""
GIF_RATE = Fraction(50)
"""Frames per second of a GIF, at most: players slow quicker ones down."""

FrameOf = Callable[[int], UInt8Array]
"""Draws a frame, from 0: [H, W, 4], straight alpha."""
Progress = Callable[[int, int], None]
"""Called with how many frames are done, and of how many."""


@dataclass(frozen=True)
class Encoding:
    """How a film is encoded.

    Attributes:
        container, codec: FFmpeg's names of them.
        pixels: the format of opaque pixels.
        with_alpha: that of pixels with transparency; None where the film cannot have it, and black stands for nothing.
        options: of the codec.
        even: whether width and height must be even.
    """

    container: str
    codec: str
    pixels: str
    with_alpha: str | None
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False


ENCODINGS = {
    "mp4": Encoding("mp4", "libx264", "yuv420p", None, {"crf": "16", "preset": "medium"}, even=True),
    "webm": Encoding("webm", "libvpx-vp9", "yuv420p", "yuva420p", {"crf": "16", "b": "0", "cpu-used": "2"}),
    "mov": Encoding("mov", "prores_ks", "yuv444p10le", "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}),
    "webp": Encoding("webp", "libwebp_anim", "bgra", "bgra", {"quality": "90"}),
    "gif": Encoding("gif", "gif", "pal8", "pal8"),
}
"""By the names of `smalti.bridge.formats.FILMS`."""


def write(
    job: Path,
    name: str,
    path: Path,
    size: int | None = None,
    shutter: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write all frames of the finished job in the folder `job` as the film `path`, in one step.

    Where H.264 needs even sides, the last row and column are there twice.

    Args:
        name: a key of `smalti.bridge.formats.FILMS`. Of pictures, `path` is their folder, and each is written in one
            step.
        size: longer side in pixels; None for the size of the fit.
        shutter: motion blur, see `smalti.engine.composition.shutter`.
        progress: called with how many frames are done, and of how many.

    Raises:
        SmaltiError: the folder holds no finished composition, or a damaged one; PyAV is missing (code ``"no_pyav"``);
            the film would be too large (code ``"film_size"``); it cannot be written (code ``"cannot_write"``).
        ValueError: the size is out of range (see `smalti.engine.composition.render.MAX_SIZE`).
    """
    composition = load_composition(job)

    def frame_of(frame: int) -> UInt8Array:
        return exposed_strips(composition, frame, size, shutter).whole()

    if name not in ENCODINGS:
        _write_pictures(path, composition.frames, frame_of, progress)
        return
    longer = max(canvas_of(composition, size)[1:])
    if longer > MAX_SIZE:
        raise SmaltiError(
            f"{path}: a film may have {MAX_SIZE:,} pixels on its longer side, not {longer:,}.",
            "Choose a smaller size.",
            "film_size",
        )
    encoding = ENCODINGS[name]
    if encoding.with_alpha is None and composition.header.background == "transparent":
        logger.warning("%s: has no transparency, so what is transparent becomes black.", path)
    av = load_pyav()
    try:
        write_atomic(path, _Encoder(av, encoding, composition, frame_of, progress).write)
    except av.error.FFmpegError as fault:
        raise SmaltiError(
            f"{path}: cannot be written ({reason_of(fault)}).", "Choose another size or format.", "cannot_write"
        ) from fault


def _write_pictures(folder: Path, frames: int, frame_of: FrameOf, progress: Progress) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as fault:
        raise SmaltiError(f"{folder}: cannot be created ({fault.strerror}).", code="cannot_write") from fault
    for frame in range(frames):
        write_png(folder / picture_name(frame), frame_of(frame))
        progress(frame + 1, frames)


class _Encoder:
    """Writes a film frame by frame."""

    def __init__(
        self, av: Any, encoding: Encoding, composition: Composition, frame_of: FrameOf, progress: Progress
    ) -> None:
        self._av = av
        self._encoding = encoding
        self._frames = composition.frames
        self._frame_of = frame_of
        self._progress = progress
        self._rate = exact_rate(composition.header.frame_rate)
        self._alpha = encoding.with_alpha is not None and composition.header.background == "transparent"
        self._colors: GifColors | None = None

    def write(self, file: BinaryIO) -> None:
        """Write the film into a file that is open for writing."""
        is_gif = self._encoding.codec == "gif"
        if is_gif:
            samples = np.unique(np.linspace(0, self._frames - 1, min(8, self._frames)).round().astype(int))
            self._colors = gif_colors(self._frame_of(frame) for frame in samples.tolist())
        looping = {"loop": "0"} if self._encoding.container in ("gif", "webp") else {}
        if is_gif:
            looping["final_delay"] = str([lasts for _, lasts, _ in self._timed()][-1])
        with self._av.open(file, "w", format=self._encoding.container, options=looping) as container:
            stream = None
            for time, lasts, frame in self._timed():
                picture = self._framed(self._frame_of(frame))
                if stream is None:
                    stream = self._stream(container, picture.shape[1], picture.shape[0])
                converted = self._converted(picture)
                converted.pts, converted.duration = time, lasts
                converted.time_base = stream.codec_context.time_base
                container.mux(stream.encode(converted))
                self._progress(frame + 1, self._frames)
            assert stream is not None
            container.mux(stream.encode())

    def _timed(self) -> Iterator[tuple[int, int, int]]:
        """When each picture is shown and for how long, in units of the stream, and of which frame it is."""
        if self._encoding.codec != "gif":
            yield from ((frame, 1, frame) for frame in range(self._frames))
            return
        rate = min(self._rate, GIF_RATE)
        for place in range(max(1, int(self._frames * rate / self._rate))):
            time = round(100 * place / rate)
            yield time, round(100 * (place + 1) / rate) - time, int(place * self._rate / rate)

    def _stream(self, container: Any, width: int, height: int) -> Any:
        encoding = self._encoding
        stream = container.add_stream(encoding.codec, rate=self._rate, options=encoding.options)
        stream.width, stream.height = width, height
        stream.pix_fmt = encoding.with_alpha if self._alpha else encoding.pixels
        codec = stream.codec_context
        codec.time_base = Fraction(1, 100) if encoding.codec == "gif" else 1 / self._rate
        if encoding.pixels.startswith("yuv"):
            codec.colorspace = codec.color_primaries = codec.color_trc = self._av.video.reformatter.Colorspace.ITU709
            codec.color_range = self._av.video.reformatter.ColorRange.MPEG
        return stream

    def _framed(self, picture: UInt8Array) -> UInt8Array:
        """A picture as the film has it: of an even size, over black, or with colors at its transparent edges."""
        if self._encoding.even:
            odd = [(0, side % 2) for side in picture.shape[:2]]
            picture = np.pad(picture, (*odd, (0, 0)), mode="edge")
        if self._encoding.with_alpha is None:
            alpha = picture[..., 3:].astype(np.uint16)
            black = ((picture[..., :3] * alpha + 127) // 255).astype(np.uint8)
            return np.concatenate([black, np.full_like(picture[..., 3:], NO_OPACITY)], axis=-1)
        return bled(picture) if self._alpha else picture

    def _converted(self, picture: UInt8Array) -> Any:
        """A picture in the codec's pixels."""
        av, kinds = self._av, self._av.video.reformatter
        if self._colors is not None:
            return av.VideoFrame.from_ndarray((self._colors.indices(picture), self._colors.palette), format="pal8")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgba")
        flags = kinds.Interpolation
        return frame.reformat(
            format=self._encoding.with_alpha if self._alpha else self._encoding.pixels,
            dst_colorspace=kinds.Colorspace.ITU709,
            dst_color_range=kinds.ColorRange.MPEG,
            interpolation=flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INP | flags.BITEXACT,
            threads=1,
        )
