# SPDX-License-Identifier: GPL-3.0-or-later
"""The masks of a job on its canvas: what of the target counts, where sprites may draw, where the regions are.

Where sprites may draw is decided on a grid of `FINER` times the canvas's size, [2 H, 2 W]. A cell is inside a mask if
the mask is half white or more there, both when it is stretched over that grid and when it is stretched over the canvas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_SIZE, JobSpec
from smalti.bridge.settings import listed

from ..arrays import BoolArray, Float32Array, UInt8Array
from ..files.images import read_image
from ..files.resampling import resize
from ..fitting.constraints.overflow import FINER

VISIBLE = 1 / 255
"""Alpha or gray level, 0 to 1, below which there is nothing to see at 8 bits."""


@dataclass(frozen=True, eq=False)
class BothSizes:
    """One channel of a picture, 0 to 1, stretched over the fine grid and over the canvas.

    Attributes:
        fine: [2 H, 2 W].
        coarse: [H, W].
    """

    fine: Float32Array
    coarse: Float32Array

    def __mul__(self, other: BothSizes) -> BothSizes:
        return BothSizes(self.fine * other.fine, self.coarse * other.coarse)

    def joined(self, other: BothSizes) -> BothSizes:
        """The larger of two channels."""
        return BothSizes(np.maximum(self.fine, other.fine), np.maximum(self.coarse, other.coarse))

    def inverted(self) -> BothSizes:
        """One minus the channel."""
        return BothSizes(1 - self.fine, 1 - self.coarse)

    def inside(self) -> BoolArray:
        """[2 H, 2 W]: where the channel is one half or more at both sizes."""
        return (self.fine >= 0.5) & (self.coarse >= 0.5).repeat(FINER, axis=0).repeat(FINER, axis=1)


@dataclass(frozen=True, eq=False)
class Masks:
    """A job's masks, each picture of which is decoded once.

    Attributes:
        size: width and height of the canvas, W and H, in pixels.
        target: [H, W], 0 to 1, by which the target's alpha is multiplied; None where all of it counts.
        weights: [H, W], 0 to 1, how much a pixel counts; None where all count alike.
        drawable: [2 H, 2 W], where ``keep_in`` and ``keep_out`` let sprites draw; None for everywhere.
        outline: the target mask by which the target's alpha is multiplied to find its outline; None where the job has
            no such mask or does not keep sprites inside the outline.
        regions: [2 H, 2 W] of each region.
    """

    size: tuple[int, int]
    target: Float32Array | None
    weights: Float32Array | None
    drawable: BoolArray | None
    outline: BothSizes | None
    regions: tuple[BoolArray, ...]

    @property
    def region_pixels(self) -> list[BoolArray]:
        """[H, W] of each region."""
        return [whole_pixels(region) for region in self.regions]

    @property
    def drawable_pixels(self) -> BoolArray:
        """[H, W]: where ``keep_in`` and ``keep_out`` let sprites draw."""
        return np.ones(self.size[::-1], bool) if self.drawable is None else whole_pixels(self.drawable)


def read_masks(job: JobSpec, size: tuple[int, int]) -> Masks:
    """Read a job's masks.

    Args:
        size: width and height of the canvas in pixels.

    Raises:
        SmaltiError: a picture cannot be read, or is black all over (code ``"mask_empty"``, ``"weight_map_empty"`` or
            ``"region_mask_empty"``).
    """
    target, outline = _read_target_mask(job, size)
    regions = tuple(_read_region(Path(region.mask), size) for region in job.regions)
    if job.count == 0:
        anywhere = np.logical_or.reduce([whole_pixels(region) for region in regions]).astype(np.float32)
        target = anywhere if target is None else target * anywhere
    return Masks(size, target, _read_weight_map(job, size), _read_drawable(job, size), outline, regions)


def whole_pixels(fine: BoolArray) -> BoolArray:
    """[H, W]: the pixels of the canvas all of whose cells are set in [2 H, 2 W]."""
    height, width = fine.shape[0] // FINER, fine.shape[1] // FINER
    return np.asarray(fine.reshape(height, FINER, width, FINER).all(axis=(1, 3)))


def resize_finely(picture: UInt8Array, size: tuple[int, int]) -> Float32Array:
    """A picture stretched over the fine grid, premultiplied (see `smalti.engine.files.images.resize`).

    Args:
        picture: [h, w, 4], straight alpha, sRGB-encoded.
        size: width and height of the canvas, W and H.

    Returns:
        [2 H, 2 W, 4].
    """
    return resize(picture, FINER * size[0], FINER * size[1])


def alpha_of(picture: Float32Array) -> Float32Array:
    """[H, W] of [H, W, 4]."""
    return picture[..., 3]


def gray_of(picture: Float32Array) -> Float32Array:
    """[H, W] of premultiplied [H, W, 4]: the mean of the colors, so what is transparent counts as black."""
    gray: Float32Array = picture[..., :3].mean(axis=2)
    return gray


def _gray_at_both_sizes(picture: UInt8Array, size: tuple[int, int]) -> BothSizes:
    return BothSizes(gray_of(resize_finely(picture, size)), gray_of(resize(picture, *size)))


def _read_target_mask(job: JobSpec, size: tuple[int, int]) -> tuple[Float32Array | None, BothSizes | None]:
    """`Masks.target`, without the regions, and `Masks.outline`."""
    if job.target_mask is None:
        return None, None
    paths = listed(job.target_mask)
    pictures = (read_image(Path(path), MAX_SIZE) for path in paths)
    if job.inside_outline:
        outline = reduce(BothSizes.joined, (_gray_at_both_sizes(picture, size) for picture in pictures))
        mask = outline.coarse
    else:
        outline, mask = None, reduce(np.maximum, (gray_of(resize(picture, *size)) for picture in pictures))
    if mask.max() < VISIBLE:
        what = "the target mask is" if len(paths) == 1 else "the target masks are"
        raise SmaltiError(
            f"{', '.join(paths)}: {what} black, so there is nothing to rebuild.",
            "White marks what to rebuild.",
            "mask_empty",
        )
    return mask, outline


def _read_region(path: Path, size: tuple[int, int]) -> BoolArray:
    inside = _gray_at_both_sizes(read_image(path, MAX_SIZE), size).inside()
    if not whole_pixels(inside).any():
        raise SmaltiError(
            f"{path}: no pixel of the canvas is white in this mask, so the region is empty.",
            "White marks the region.",
            "region_mask_empty",
        )
    return inside


def _read_weight_map(job: JobSpec, size: tuple[int, int]) -> Float32Array | None:
    if job.weight_map is None:
        return None
    weights = gray_of(resize(read_image(Path(job.weight_map), MAX_SIZE), *size))
    if weights.max() < VISIBLE:
        raise SmaltiError(
            f"{job.weight_map}: the weight map is black, so nothing matters.",
            "White marks what matters.",
            "weight_map_empty",
        )
    return weights


def _read_drawable(job: JobSpec, size: tuple[int, int]) -> BoolArray | None:
    drawable = None
    for path, white_is_inside in ((job.keep_in, True), (job.keep_out, False)):
        if path is not None:
            mask = _gray_at_both_sizes(read_image(Path(path), MAX_SIZE), size)
            inside = (mask if white_is_inside else mask.inverted()).inside()
            drawable = inside if drawable is None else drawable & inside
    return drawable
