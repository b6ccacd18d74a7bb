# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a film before any of it is decoded: when its frames begin, where decoding can begin, and hashes.

The file is read once for that, in whole or as far as the frames that are asked for, and what was found is kept for the
file as long as it does not change.
"""

from __future__ import annotations

import hashlib
import logging
import math
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import Int64Array
from ..errors import unreadable
from .constant_rate import frames_within, middle
from .images import MAX_PIXELS, too_large
from .pyav import load_pyav, reason_of

logger = logging.getLogger(__name__)

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,ogg,asf,mxf,yuv4mpegpipe,nut,gif,"
    "h264,hevc,m4v,dv,ivf,obu,av1"
)
"""FFmpeg's names of what is read: nothing that names other files, as playlists do."""
MOST_RATE = 120
"""Frames per second above which a film's own rate is a unit of time and no rate."""
MISSING = 2
"""Frames by which a film may be shorter than its header says."""


HIGH_RANGE = (16, 18)
"""The transfer curves of high dynamic range, PQ and HLG, as FFmpeg counts them."""


class TooFewFramesError(IndexError):
    """A film has `count` frames, and a later one was asked for."""

    def __init__(self, count: int) -> None:
        super().__init__(f"there are {count} frames")
        self.count = count


@dataclass(frozen=True, eq=False)
class FilmIndex:
    """A film's own frames, those that are shown in a range and those between them and a key frame.

    Attributes:
        rate: frames per second, constant.
        unit: seconds of one step of the times.
        begin: the time of the film's beginning.
        times: [n] when each frame begins, from the film's beginning, ascending.
        keys: [m] the times of the key frames among them.
        hashes: of each frame: of the data from its key frame as far as itself.
        seconds: how long the film lasts, as far as it was read.
    """

    rate: Fraction
    unit: Fraction
    begin: int
    times: Int64Array
    keys: list[int]
    hashes: list[str]
    seconds: Fraction

    def time(self, own: int) -> int:
        """When a frame begins, as the stream counts."""
        return int(self.times[own]) + self.begin

    def key_before(self, own: int) -> int | None:
        """When the key frame begins that decoding a frame starts at, as the stream counts; None for the beginning."""
        place = bisect_right(self.keys, int(self.times[own])) - 1
        return self.keys[place] + self.begin if place >= 0 and self.keys[place] > 0 else None


def opened(path: Path) -> tuple[Any, Any]:
    """A film's container and its stream of pictures. The container is to be closed.

    Raises:
        SmaltiError: as `smalti.engine.files.film.Film`.
    """
    av = load_pyav()
    _check_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        container = av.open(str(path.absolute()), options=options)
    except (av.error.FFmpegError, ValueError) as fault:
        raise _damaged(path, reason_of(fault)) from fault
    streams = [each for each in container.streams.video if not each.disposition & each.disposition.attached_pic]
    stream = next(iter(streams), None)
    if stream is None or stream.codec_context is None:
        container.close()
        raise SmaltiError(f"{path}: has no pictures in it.", "Choose a film.", "not_a_film")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        container.close()
        raise too_large(path, f"{width:,} x {height:,} pixels")
    return container, stream


def index_of(path: Path, rate: Fraction | None, first: int, last: int | None) -> FilmIndex:
    """The index of some frames of a film; arguments and errors as `smalti.engine.files.film.Film`."""
    _check_file(path)
    state = path.stat()
    return _index_of(path, (state.st_size, state.st_mtime_ns), rate, first, last)


@lru_cache(maxsize=4)
def _index_of(path: Path, state: tuple[int, int], rate: Fraction | None, first: int, last: int | None) -> FilmIndex:
    container, stream = opened(path)
    try:
        if stream.codec_context.color_trc in HIGH_RANGE:
            logger.warning("%s: has a high dynamic range, which is not converted: its colors will be pale.", path)
        return _Reader(path, container, stream, rate).index(first, last)
    finally:
        container.close()


class _Reader:
    """Reads a film's packets, without decoding them."""

    def __init__(self, path: Path, container: Any, stream: Any, rate: Fraction | None) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._unit = Fraction(stream.time_base)
        self._rate = rate or _own_rate(stream)

    def index(self, first: int, last: int | None) -> FilmIndex:
        """The index of the frames from `first` to `last`, from 0."""
        begin = self._stream.start_time
        end = math.inf if begin is None or last is None else begin + middle(last, self._rate) / self._unit
        packets = None
        if first > 0 and begin is not None:
            early = begin + int(middle(first, self._rate) / self._unit)
            packets = self._packets(early, end)
            if not packets.keys or min(packets.keys) > early:  # the file cannot be entered there
                self._container.seek(begin, stream=self._stream)
                packets = None
        if packets is None:
            packets = self._packets(None, end)
        if not packets.times:
            raise _damaged(self._path, "it holds no frames")
        begin = min(packets.times) if begin is None else begin
        order = np.argsort(np.array(packets.times, np.int64), kind="stable")
        index = FilmIndex(
            self._rate,
            self._unit,
            begin,
            np.array(packets.times, np.int64)[order] - begin,
            sorted(key - begin for key in packets.keys),
            [packets.hashes[place] for place in order],
            (packets.end - begin) * self._unit,
        )
        self._check_length(index, packets, first, last)
        return index

    def _packets(self, start: int | None, end: float) -> _Packets:
        """The packets from a key frame at or before `start` to the first that is decoded after `end`."""
        if start is not None:
            self._container.seek(start, stream=self._stream)
        found = _Packets(max(1, round(1 / (self._rate * self._unit))))
        av = load_pyav()
        try:
            for packet in self._container.demux(self._stream):
                if packet.dts is not None and packet.dts > end:
                    found.whole = False
                    break
                if packet.size:
                    found.add(packet)
        except av.error.FFmpegError as fault:
            found.fault = reason_of(fault)
        return found

    def _check_length(self, index: FilmIndex, packets: _Packets, first: int, last: int | None) -> None:
        """Check that the frames that are asked for are there."""
        if not packets.whole:
            return
        count = frames_within(index.seconds, index.rate)
        if last is not None and last < count:
            return
        declared = _declared_seconds(self._container, self._stream)
        if packets.fault or (declared - index.seconds) * index.rate > MISSING:
            of = frames_within(declared, index.rate)
            raise SmaltiError(
                f"{self._path}: ends after {count} of {of} frames, so it is incomplete.",
                f"Copy or export it again, or rebuild what is there: frames 1:{max(1, count - 1)}.",
                "film_incomplete",
            )
        if first >= count or (last is not None and last >= count):
            raise TooFewFramesError(count)


class _Packets:
    """What is noted of packets. `usual`: how long a frame lasts, where the file does not say."""

    def __init__(self, usual: int) -> None:
        self.times: list[int] = []
        self.keys: list[int] = []
        self.hashes: list[str] = []
        self.end = 0
        self.whole = True
        self._last = -math.inf
        self.fault = ""
        self._usual = usual
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, packet: Any) -> None:
        """Note a packet, in the order of decoding."""
        if packet.is_keyframe:
            self._hash = hashlib.blake2b(digest_size=16)
        self._hash.update(memoryview(packet))
        time = packet.dts if packet.pts is None else packet.pts
        if time is None or packet.is_discard:
            return
        if packet.is_keyframe:
            self.keys.append(time)
        self.times.append(time)
        self.hashes.append(self._hash.copy().hexdigest())
        if time > self._last:  # durations of others may be in the order of decoding
            self._last, self.end = time, time + (packet.duration or self._usual)


def _own_rate(stream: Any) -> Fraction:
    """The frames per second that a film is made for. Of a varying rate, the one that its times are steps of."""
    for rate in (stream.guessed_rate, stream.average_rate):
        if rate and 0 < rate <= MOST_RATE:
            return Fraction(rate)
    return Fraction(24)


def _declared_seconds(container: Any, stream: Any) -> Fraction:
    """How long the header says that the pictures last; 0 where it does not."""
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return Fraction(0)


def _check_file(path: Path) -> None:
    """Check that a file is there and can be read. Raises SmaltiError, with the codes of `read_image`."""
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise SmaltiError(f"{path}: is empty (0 bytes).", "Export or copy it again.", "picture_empty")
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path.", "picture_missing") from fault
    except OSError as fault:
        raise unreadable(path, fault, "picture_unreadable") from fault


def _damaged(path: Path, reason: str) -> SmaltiError:
    return SmaltiError(
        f"{path}: is no film that can be read, or is damaged ({reason}).", "Export or copy it again.", "film_damaged"
    )
