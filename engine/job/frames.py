# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a job's target, as they are on its canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from smalti.bridge.errors import SmaltiError, bad_setting, named
from smalti.bridge.job import MAX_SIZE, BlendSpace, JobSpec

from ..arrays import BoolArray, Float32Array, UInt8Array
from ..colour import into_space
from ..files.images import canvas_size, frames_in, list_images, read_image, read_size
from ..files.resampling import resize
from .masks import BothSizes, Masks, alpha_of, resize_finely

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"}
"""Endings of videos, which nothing here decodes."""
KEPT = 2
"""Frames that stay in memory: a film is fitted from one to the next."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of the target on the canvas.

    Attributes:
        encoded: [H, W, 4] premultiplied, sRGB-encoded, 0 to 1, under the target mask.
        outline: [2 H, 2 W], where the target under its mask is half opaque or more (see `smalti.engine.job.masks`);
            None if the job does not need it.
        space: the job's blend space.
    """

    encoded: Float32Array
    outline: BoolArray | None
    space: BlendSpace

    @cached_property
    def target(self) -> Float32Array:
        """[H, W, 4] premultiplied, in the blend space, 0 to 1, under the target mask."""
        return into_space(self.encoded, self.space)


class TargetFrames:
    """The target's frames by index, from 0. Each is decoded when it is first needed; the last two are kept.

    Args:
        paths: the pictures.
        job: tells the blend space, and whether outlines are needed.
        masks: the job's masks.
        first: the first picture, decoded: [h, w, 4], straight alpha, sRGB-encoded.

    Raises:
        SmaltiError: code ``"no_outline"`` if the job needs an outline and the first frame has none.
    """

    def __init__(self, paths: Sequence[Path], job: JobSpec, masks: Masks, first: UInt8Array) -> None:
        self.paths = tuple(paths)
        self._job = job
        self._masks = masks
        self._kept = {0: self._frame(paths[0], first)}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Frame:
        """A frame.

        Raises:
            SmaltiError: the picture cannot be read, has other proportions than the first (code ``"frame_size"``), or
                has no outline where one is needed (code ``"no_outline"``).
        """
        if index not in self._kept:
            path = self.paths[index]
            picture = read_image(path, MAX_SIZE)
            _check_proportions(path, (picture.shape[1], picture.shape[0]), self._masks.size)
            if len(self._kept) == KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._frame(path, picture)
        return self._kept[index]

    def _frame(self, path: Path, picture: UInt8Array) -> Frame:
        """A decoded picture [h, w, 4] as a frame."""
        masks = self._masks
        stretched = resize(picture, *masks.size)
        encoded = stretched if masks.target is None else stretched * masks.target[..., None]
        if self._job.lighten:
            lighter = encoded.copy()
            lighter[..., :3] += self._job.lighten * (encoded[..., 3:] - encoded[..., :3])
            encoded = lighter
        outline = None
        if self._job.inside_outline:
            alpha = BothSizes(alpha_of(resize_finely(picture, masks.size)), alpha_of(stretched))
            outline = (alpha if masks.outline is None else alpha * masks.outline).inside()
            if outline.all():
                raise SmaltiError(
                    f"{path}: is opaque everywhere, so it has no outline to keep inside of.",
                    f"Give a target with transparency, or a {named('target_mask')}.",
                    "no_outline",
                )
        return Frame(encoded, outline, self._job.blend_space)


def frame_paths(target: Path, frame: int | None = None) -> list[Path]:
    """The pictures of a target: itself, or those of a folder.

    Args:
        frame: the only one that is to be rebuilt, from 1; None for all.

    Raises:
        SmaltiError: as `list_images`; or there is no such frame (code ``"bad_setting"``).
    """
    if not target.is_dir():
        return [target]
    paths = list_images(target)
    if frame is None:
        return paths
    _check_frame(target, frame, len(paths))
    return [paths[frame - 1]]


def read_first(path: Path, job: JobSpec) -> UInt8Array:
    """The first picture that a job rebuilds: [h, w, 4], straight alpha, sRGB-encoded.

    Args:
        path: the first of `frame_paths`.

    Raises:
        SmaltiError: as `read_image`; the target is an animation and the job says no frame (code ``"target_animated"``),
            there is no such frame (code ``"bad_setting"``), or it is a video (code ``"target_is_video"``).
    """
    if Path(job.target).is_dir():
        return read_image(path, MAX_SIZE)
    if path.suffix.lower() in VIDEOS and path.is_file():
        raise SmaltiError(
            f"{path}: is a video, which cannot be read.",
            "Save its frames as pictures into a folder (ffmpeg -i VIDEO FOLDER/%04d.png), and give the folder.",
            "target_is_video",
        )
    frames, frame = frames_in(path), job.target_frame
    if frame is None and frames > 1:
        raise SmaltiError(
            f"{path}: is an animation of {frames} frames, not one picture.",
            f"Choose a frame ({named('target_frame')} 1 is the first), or save all as pictures into a folder.",
            "target_animated",
        )
    if frame is not None:
        _check_frame(path, frame, frames)
    return read_image(path, MAX_SIZE, (frame or 1) - 1)


def _check_frame(path: Path, frame: int, frames: int) -> None:
    if frame > frames:
        raise bad_setting("target_frame", frame, f"at most {frames}, the number of frames of {path}")


def canvas_of(paths: Sequence[Path], first: UInt8Array, longer_side: int | None) -> tuple[int, int]:
    """Width and height, in pixels, of the canvas for a target.

    Args:
        paths: the pictures; of all but the first only the header is read.
        first: the first one, decoded: [h, w, 4].
        longer_side: see `smalti.engine.files.images.canvas_size`.

    Raises:
        SmaltiError: the first picture is too small (code ``"target_too_small"``), or another one cannot be read or has
            other proportions (code ``"frame_size"``).
    """
    own_width, own_height = first.shape[1], first.shape[0]
    width, height = canvas_size(own_width, own_height, longer_side)
    if min(own_width, own_height) < 2 or min(width, height) < 4:
        raise SmaltiError(
            f"{paths[0]}: is too small or too narrow to be rebuilt ({own_width} x {own_height} pixels, "
            f"canvas {width} x {height}).",
            "Choose a larger picture.",
            "target_too_small",
        )
    for path in paths[1:]:
        own = read_size(path)
        # A frame may be turned by its EXIF data, which only decoding shows: here either way up is good.
        turned = (own[0] > own[1]) != (width > height)
        _check_proportions(path, own, (height, width) if turned else (width, height))
    return width, height


def _check_proportions(path: Path, own: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Check that a frame has the canvas's proportions, but for the canvas's rounding. Sizes are (width, height)."""
    if abs(own[0] * canvas[1] - own[1] * canvas[0]) > 0.02 * own[1] * canvas[0] + max(own):
        raise SmaltiError(
            f"{path}: is {own[0]} x {own[1]} pixels, which does not fit the first frame's proportions.",
            "Give all frames the same size.",
            "frame_size",
        )
