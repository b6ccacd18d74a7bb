# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a job's target, as they are on its canvas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from smalti.bridge.errors import SmaltiError, named
from smalti.bridge.job import BlendSpace, JobSpec

from ..arrays import BoolArray, Float32Array, UInt8Array
from ..colour import into_space
from ..files.footage import Footage
from ..files.images import canvas_size
from ..files.resampling import resize
from .footage import rate_of
from .masks import BothSizes, Masks, alpha_of, resize_finely

KEPT = 3
"""Frames that stay in memory: a film is fitted from one to the next, and measured a frame later."""


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
    """The target's frames by index, from 0. Each is decoded when it is first needed; the last few are kept.

    Args:
        footage: the frames as they are in files.
        job: tells the blend space, and whether outlines are needed.
        masks: the job's masks.
        first: the first frame, decoded: [h, w, 4], straight alpha, sRGB-encoded.

    Raises:
        SmaltiError: code ``"no_outline"`` if the job needs an outline and the first frame has none.
    """

    def __init__(self, footage: Footage, job: JobSpec, masks: Masks, first: UInt8Array) -> None:
        self.footage = footage
        self._job = job
        self._masks = masks
        self._kept = {0: self._frame(footage.title(0), first)}

    def __len__(self) -> int:
        return len(self.footage)

    def __getitem__(self, index: int) -> Frame:
        """A frame.

        Raises:
            SmaltiError: the frame cannot be read, has other proportions than the first (code ``"frame_size"``), or
                has no outline where one is needed (code ``"no_outline"``).
        """
        if index not in self._kept:
            title, picture = self.footage.title(index), self.footage.read(index)
            _check_proportions(title, (picture.shape[1], picture.shape[0]), self._masks.size)
            if len(self._kept) == KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._frame(title, picture)
        return self._kept[index]

    @property
    def rate(self) -> float:
        """Frames per second."""
        return rate_of(self._job, self.footage)

    def _frame(self, title: str, picture: UInt8Array) -> Frame:
        """A decoded picture [h, w, 4] as a frame, which messages call `title`."""
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
                    f"{title}: is opaque everywhere, so it has no outline to keep inside of.",
                    f"Give a target with transparency, or a {named('target_mask')}.",
                    "no_outline",
                )
        return Frame(encoded, outline, self._job.blend_space)


def canvas_of(title: str, first: UInt8Array, longer_side: int | None) -> tuple[int, int]:
    """Width and height, pixels, of the canvas for a target.

    Args:
        title: what messages call the first frame.
        first: the first frame, [h, w, 4].
        longer_side: see `smalti.engine.files.images.canvas_size`.

    Raises:
        SmaltiError: code ``"target_too_small"``.
    """
    own_width, own_height = first.shape[1], first.shape[0]
    width, height = canvas_size(own_width, own_height, longer_side)
    if min(own_width, own_height) < 2 or min(width, height) < 4:
        raise SmaltiError(
            f"{title}: is too small or too narrow to be rebuilt ({own_width} x {own_height} pixels, "
            f"canvas {width} x {height}).",
            "Choose a larger picture.",
            "target_too_small",
        )
    return width, height


def _check_proportions(title: str, own: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Check that a frame has the canvas's proportions, but for the canvas's rounding. Sizes are (width, height)."""
    if abs(own[0] * canvas[1] - own[1] * canvas[0]) > 0.02 * own[1] * canvas[0] + max(own):
        raise SmaltiError(
            f"{title}: is {own[0]} x {own[1]} pixels, which does not fit the first frame's proportions.",
            "Give all frames the same size.",
            "frame_size",
        )
