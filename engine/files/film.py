# SPDX-License-Identifier: GPL-3.0-or-later
"""A film's file as footage: its frames at a constant rate, decoded when they are asked for.

What is known before the first frame is decoded, the times and hashes of the film's own frames, is in `film_index`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import UInt8Array
from .constant_rate import frames_within, own_frames
from .film_index import FilmIndex, index_of, opened
from .images import MAX_PIXELS
from .pyav import load_pyav, reason_of

NEAR = 16
"""Frames that are decoded and left out rather than looking for a key frame."""
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codecs whose transparency FFmpeg's own decoders leave out, and who keeps it."""
HD_ROWS = 720
"""Height from which films that do not say it have the colors of Rec. 709; smaller ones, Rec. 601."""


class Film:
    """A film's frames.

    Args:
        path: the file.
        rate: frames per second; None for the film's own.
        first: the first frame, from 0.
        last: the last one; None for the film's.

    Raises:
        SmaltiError: PyAV is missing; the file is missing, empty, damaged, or no film; it ends before it should (code
            ``"film_incomplete"``).
        TooFewFramesError: it ends before `first` or `last`.
    """

    def __init__(self, path: Path, rate: Fraction | None = None, first: int = 0, last: int | None = None) -> None:
        self._path = path
        self._first = first
        self._index: FilmIndex = index_of(path, rate, first, last)
        self.rate = self._index.rate
        index = self._index
        count = (frames_within(index.seconds, index.rate) if last is None else last + 1) - first
        self._own = own_frames(index.times, count, index.unit, index.rate, first)
        self._decoder: _Decoder | None = None
        self._at: tuple[int, UInt8Array] | None = None

    def __len__(self) -> int:
        return len(self._own)

    def path(self, index: int) -> Path:
        """See `Footage`."""
        return self._path

    def title(self, index: int) -> str:
        """See `Footage`."""
        return f"{self._path}, frame {self._first + index + 1}"

    def fingerprint(self, index: int) -> str:
        """See `Footage`."""
        return self._index.hashes[int(self._own[index])]

    def read(self, index: int) -> UInt8Array:
        """See `Footage`."""
        own = int(self._own[index])
        if self._at is None or self._at[0] != own:
            try:
                self._at = own, self._decoded(own)
            except Exception as fault:
                self.close()
                raise _unreadable(self.title(index), fault) from fault
        return self._at[1]

    def _decoded(self, own: int) -> UInt8Array:
        """One of the film's own frames."""
        time, key = self._index.time(own), self._index.key_before(own)
        if self._decoder is None or self._at is None or not self._is_on_the_way(self._at[0], own):
            self.close()
            self._decoder = _Decoder(self._path, key)
        try:
            return self._decoder.frame_at(time)
        except ValueError:
            if key is None:
                raise
        # Some files cannot be entered at a key frame with certainty.
        self.close()
        self._decoder = _Decoder(self._path, None)
        return self._decoder.frame_at(time)

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = self._at = None

    def _is_on_the_way(self, at: int, own: int) -> bool:
        """Whether a frame is reached from another one sooner by decoding on than from a key frame."""
        key = self._index.key_before(own)
        return own > at and (own - at <= NEAR or key is None or key <= self._index.time(at))


class _Decoder:
    """A film that is decoded from a key frame on. `start`: its time in units of the stream; None for the beginning."""

    def __init__(self, path: Path, start: int | None) -> None:
        self._av = load_pyav()
        self._container, self._stream = opened(path)
        codec = self._stream.codec_context
        said = {name.lower(): value for name, value in self._stream.metadata.items()}
        own = ALPHA_DECODERS.get(codec.name) if said.get("alpha_mode") == "1" else None
        self._codec = codec if own is None else self._av.CodecContext.create(own, "r")
        self._codec.thread_count = 1
        self._codec.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
        self._frames: Iterator[Any] = self._decoded()
        if start is not None:
            self._container.seek(start, stream=self._stream)

    def frame_at(self, time: int) -> UInt8Array:
        """The frame of this time: [h, w, 4], straight alpha, sRGB-encoded. Times may only grow.

        Raises:
            ValueError: it is missing, or was not decoded as a whole.
            FFmpegError: the film is damaged before it.
        """
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= time:
                if frame.pts > time:
                    raise ValueError("it cannot be decoded")
                if frame.is_corrupt:
                    raise ValueError("a part of it is missing")
                return _rgba(self._av, frame, self._stream.sample_aspect_ratio)
        raise ValueError("it cannot be decoded")

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            yield from self._codec.decode(packet if packet.size else None)


def _rgba(av: Any, frame: Any, aspect: Fraction | None) -> UInt8Array:
    """A decoded frame as [h, w, 4], upright, with square pixels."""
    width = frame.width
    if aspect and 0.01 < aspect < 100:
        width = max(1, round(width * aspect))
    kinds, flags = av.video.reformatter.Colorspace, av.video.reformatter.Interpolation
    space = int(frame.colorspace)
    if space not in {int(kind) for kind in kinds}:
        space = int(kinds.ITU709 if frame.height >= HD_ROWS else kinds.ITU601)
    exact = flags.BICUBIC | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP | flags.ACCURATE_RND | flags.BITEXACT
    converted = frame.reformat(width=width, format="rgba", src_colorspace=space, interpolation=exact, threads=1)
    pixels: UInt8Array = converted.to_ndarray()
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def _unreadable(title: str, fault: Exception) -> Exception:
    if isinstance(fault, SmaltiError | MemoryError):
        return fault
    return SmaltiError(
        f"{title}: is damaged ({reason_of(fault)}).",
        "Export or copy the film again, or choose the frames before it or after it.",
        "film_damaged",
    )
