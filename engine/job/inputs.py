# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a job reads, checked before anything is written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_SIZE, JobSpec, RegionSpec

from ..colour import hex_of, into_space, out_of_space
from ..composition import background_pixels
from ..devices import available_devices, cuda_obstacle, default_device
from ..files.images import (
    canvas_size,
    list_images,
    premultiply,
    read_image,
    read_size,
    resize,
)
from ..fitting.constraints.overflow import FINER
from ..fitting.constraints.palette import palette_colors
from ..fitting.fit import Fit
from ..fitting.groups import Group
from ..fitting.initialise.background import background_color
from ..fitting.objective.losses import Features
from ..fitting.plan import FitPlan, aim_of, optimiser_settings, strategy_of
from ..fitting.strategy import Strategy
from ..templates import Template, load_templates, uniquely_named
from ..templates.text import text_templates
from .vgg_weights import read_features

logger = logging.getLogger("smalti")

THUMBNAIL = 64
"""Texels a side, or a little more, that stand for a bitmap's colours."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Inputs:
    """A job's pictures, and its settings with every open one filled in.

    Attributes:
        job: the job.
        frames: paths of the target's frames (one for a still).
        width, height: canvas in pixels.
        templates: the bitmaps of all groups.
        groups: the job's own sprites, where it has any, and those of its regions.
        background: ``"transparent"``, ``"#rrggbb"``, or the name of the file that keeps `background_image` in the job.
        background_image: [h, w, 4] uint8 straight sRGB, or None.
        target_mask, weight_map: [height, width] float32, 0 to 1, or None.
        steps, frame_steps, device: the job's, or what follows from canvas, count and templates.
        features: what the job's loss needs of VGG16, or None.
        strategy: how sprites begin and move, see `smalti.engine.fitting.strategy`.
    """

    job: JobSpec
    frames: tuple[Path, ...]
    width: int
    height: int
    templates: list[Template]
    groups: tuple[Group, ...]
    background: str
    background_image: NDArray[np.uint8] | None
    target_mask: Floats | None
    weight_map: Floats | None
    steps: int
    frame_steps: int
    device: str
    features: Features | None
    strategy: Strategy

    @property
    def count(self) -> int:
        """Number of all sprites."""
        return sum(group.count for group in self.groups)

    @property
    def regions(self) -> tuple[Group, ...]:
        """The groups that are regions."""
        return self.groups[1:] if self.job.count else self.groups

    @property
    def size_range(self) -> tuple[float, float]:
        """Smallest and largest longer side of any sprite, canvas pixels."""
        return min(g.size_range[0] for g in self.groups), max(g.size_range[1] for g in self.groups)

    def target(self, frame: int) -> Floats:
        """[height, width, 4] premultiplied, in the blend space: one frame of the target, under its mask.

        Raises:
            SmaltiError: the picture cannot be read, or has other proportions than the first.
        """
        return into_space(_target(self.frames[frame], self.width, self.height, self.target_mask), self.job.blend_space)

    def background_pixels(self) -> Floats | None:
        """[height, width, 4] premultiplied, in the blend space; None where it is transparent."""
        return background_pixels(self.background, self.background_image, self.width, self.height, self.job.blend_space)

    def goal(self, frame: int) -> Floats:
        """What a picture of the result is measured against: the target over the background, premultiplied sRGB.

        The target counts only where sprites may draw.
        """
        target, background = self.target(frame), self.background_pixels()
        if self._has_outside:
            quarters = self.inside(frame).reshape(self.height, FINER, self.width, FINER)
            target = target * np.min(quarters, axis=(1, 3))[..., None]
        if background is not None:
            target = target + (1 - target[..., 3:]) * background
        return out_of_space(target, self.job.blend_space)

    def fitting(self) -> Fit:
        """The fit of these inputs, at its first step."""
        job = self.job
        first = self.target(0)
        # Where the target has holes, sprites must leave them open whatever lies behind: they are fitted on noise.
        alone = self.background == "transparent" or float(first[..., 3].min()) < 1 - 1 / 255
        settings = optimiser_settings(
            job,
            self.strategy,
            self.groups,
            (self.height, self.width),
            self.steps,
            self.device,
            aim_of(job, self.features, self.weight_map),
        )
        plan = FitPlan(
            job,
            self.target,
            len(self.frames),
            None if alone else self.background_pixels(),
            [into_space(premultiply(t.rgba), job.blend_space) for t in self.templates],
            self.groups,
            self.inside if self._has_outside else None,
            settings,
            self.frame_steps,
            self.strategy,
        )
        return Fit(plan)

    @property
    def _has_outside(self) -> bool:
        return bool(self.job.keep_in or self.job.keep_out or self.job.inside_outline)

    def inside(self, frame: int) -> NDArray[np.bool_]:
        """[2 height, 2 width]: where sprites may draw in a frame, on a canvas of twice the size.

        A pixel is inside where the masks are half white or more, both at twice the size and on the canvas.

        Raises:
            SmaltiError: a picture cannot be read; nothing is left, or nothing of the target.
        """
        result = _let_by_masks(self.job, self.width, self.height)
        if self.job.inside_outline:
            result &= self._outline(frame)
        visible = self.target(frame)[..., 3].repeat(FINER, axis=0).repeat(FINER, axis=1) * result
        if visible.max() < 1 / 255:
            job = self.job
            asked = ", ".join(name for name in ("keep_in", "keep_out", "inside_outline") if getattr(job, name))
            mask = job.keep_in or job.keep_out
            what = f"{self.frames[frame]}: nothing of the target"
            if mask is not None:
                what = f"{mask}: nothing of the target ({self.frames[frame].name})"
            raise SmaltiError(
                f"{what} lies where sprites may draw ({asked}).",
                "White marks where sprites may draw in keep_in, and where they may not in keep_out.",
                "region_empty",
            )
        return result

    def _outline(self, frame: int) -> NDArray[np.bool_]:
        """[2 height, 2 width]: where the target, under its mask, is half opaque or more."""
        alpha = _at_both_sizes(read_image(self.frames[frame], MAX_SIZE), _alpha, self.width, self.height)
        if self.job.target_mask is not None:
            mask = read_image(Path(self.job.target_mask), MAX_SIZE)
            alpha *= _at_both_sizes(mask, _grey_of, self.width, self.height)
        inside: NDArray[np.bool_] = alpha.min(axis=0) >= 0.5
        if inside.all():
            raise SmaltiError(
                f"{self.frames[frame]}: is opaque everywhere, so it has no outline to keep inside of.",
                "Give a target with transparency, or a target_mask.",
                "no_outline",
            )
        return inside


def read_inputs(
    job: JobSpec,
    templates: Sequence[Template] | None = None,
    shares: Sequence[int] | None = None,
    strategy: Strategy | None = None,
) -> Inputs:
    """Read and check all that a job needs.

    Args:
        job: its paths may be relative to the current folder.
        templates: the bitmaps where they are at hand already; None loads `job.primitives` and draws `job.text`.
        shares: where the bitmaps of regions are among them: how many are of each group (see `Inputs`).
        strategy: how to fit; None takes that of the job's preset.

    Raises:
        SmaltiError: a setting or one of the files is unusable; nothing has been written.
    """
    job = job.checked()
    strategy = strategy or strategy_of(job)
    device = usable_device(job.device)
    frames = frames_of(Path(job.target))
    first = read_image(frames[0], MAX_SIZE)
    width, height = canvas_size(first.shape[1], first.shape[0], job.size)
    if min(first.shape[:2]) < 2 or min(width, height) < 4:
        raise SmaltiError(
            f"{frames[0]}: is too small or too narrow to be rebuilt ({first.shape[1]} x {first.shape[0]} pixels, "
            f"canvas {width} x {height}).",
            "Choose a larger picture.",
            "target_too_small",
        )
    for path in frames[1:]:
        own = read_size(path)
        # A frame may be turned by its EXIF data, which only decoding shows: here either way up is good.
        turned = (own[0] > own[1]) != (width > height)
        _check_proportions(path, *own, *((height, width) if turned else (width, height)))
    mask = _grey(job.target_mask, width, height)
    if mask is not None and mask.max() < 1 / 255:
        raise SmaltiError(
            f"{job.target_mask}: the target mask is black, so there is nothing to rebuild.",
            "White marks what to rebuild.",
            "mask_empty",
        )
    inside = [_region(Path(region.mask), width, height) for region in job.regions]
    masks = [_whole_pixels(fine) for fine in inside]
    if job.count == 0:
        anywhere = np.logical_or.reduce(masks).astype(np.float32)
        mask = anywhere if mask is None else mask * anywhere
    weight_map = _grey(job.weight_map, width, height)
    if weight_map is not None and weight_map.max() < 1 / 255:
        raise SmaltiError(
            f"{job.weight_map}: the weight map is black, so nothing matters.",
            "White marks what matters.",
            "weight_map_empty",
        )
    target = _target(frames[0], width, height, mask)
    if target[..., 3].max() < 1 / 255:
        raise SmaltiError(
            f"{frames[0]}: is transparent everywhere, so there is nothing to rebuild.",
            "Choose another picture.",
            "target_transparent",
        )
    drawable = _whole_pixels(_let_by_masks(job, width, height))
    _check_regions(job, masks, drawable, target[..., 3])
    given = _bitmaps(job, templates) if shares is None else _split(templates or [], shares)
    chosen = uniquely_named(template for own in given for template in own)
    if not all(given):
        raise SmaltiError("There are no bitmaps to work with.", "Give at least one.", "no_bitmaps")
    background, image = _background(job, strategy, target, chosen)
    groups = _groups(job, strategy, [len(own) for own in given], inside, masks, drawable, (width, height))
    steps = job.steps or strategy.steps(sum(group.count for group in groups))
    return Inputs(
        job,
        tuple(frames),
        width,
        height,
        chosen,
        groups,
        background,
        image,
        mask,
        weight_map,
        steps,
        job.frame_steps or max(20, round(steps / 6)),
        device,
        None if job.loss_weights_file is None else read_features(Path(job.loss_weights_file)),
        strategy,
    )


def _region(path: Path, width: int, height: int) -> Bools:
    """[2 height, 2 width]: where a region is, as `Inputs.inside` says where sprites may draw."""
    inside: Bools = _at_both_sizes(read_image(path, MAX_SIZE), _grey_of, width, height).min(axis=0) >= 0.5
    if not _whole_pixels(inside).any():
        raise SmaltiError(
            f"{path}: no pixel of the canvas is white in this mask, so the region is empty.",
            "White marks the region.",
            "region_mask_empty",
        )
    return inside


def _whole_pixels(fine: Bools) -> Bools:
    """[H, W]: the pixels of the canvas all of whose parts are in a plane [2 H, 2 W]."""
    height, width = fine.shape[0] // FINER, fine.shape[1] // FINER
    return np.asarray(fine.reshape(height, FINER, width, FINER).all(axis=(1, 3)))


def _let_by_masks(job: JobSpec, width: int, height: int) -> Bools:
    """[2 height, 2 width]: where `keep_in` and `keep_out` let sprites draw, as `Inputs.inside` says."""
    result = np.ones((FINER * height, FINER * width), bool)
    for path, white_is_inside in ((job.keep_in, True), (job.keep_out, False)):
        if path is not None:
            grey = _at_both_sizes(read_image(Path(path), MAX_SIZE), _grey_of, width, height)
            result &= (grey if white_is_inside else 1 - grey).min(axis=0) >= 0.5
    return result


def _check_regions(job: JobSpec, masks: Sequence[Bools], drawable: Bools, alpha: Floats) -> None:
    """See that something of the target lies in each region and outside of all, and where sprites may draw.

    Args:
        masks: [H, W] of each region.
        drawable: [H, W], where the job's other masks let sprites draw.
        alpha: [H, W], how much of the target is shown.
    """
    others = [f"{name}: {path}" for name in ("keep_in", "keep_out") if (path := getattr(job, name)) is not None]
    for region, mask in zip(job.regions, masks):
        if (alpha * mask).max() < 1 / 255:
            raise SmaltiError(
                f"{region.mask}: nothing of the target lies in this region.",
                "White marks the region; choose one where the target is not transparent.",
                "region_mask_empty",
            )
        if (alpha * mask * drawable).max() < 1 / 255:
            raise SmaltiError(
                f"{region.mask}: nothing of this region lies where sprites may draw ({', '.join(others)}).",
                f"Change one of the {'two' if len(others) == 1 else 'three'} masks.",
                "region_empty",
            )
    rest = alpha * ~np.logical_or.reduce(masks) if masks else alpha
    if job.count and masks and (rest * drawable).max() < 1 / 255:
        both = f" and {' and '.join(others)}" if rest.max() >= 1 / 255 else ""
        raise SmaltiError(
            f"count is {job.count}, but the regions{both} leave nothing of the target to sprites of no region.",
            "Set count to 0, or make the masks smaller." if not both else "Set count to 0, or change one of the masks.",
            "regions_cover_all",
        )


def _bitmaps(job: JobSpec, templates: Sequence[Template] | None) -> list[list[Template]]:
    """The bitmaps of each group; those of a region are called by the name of its mask too."""
    own: list[Template] = []
    if job.needs_bitmaps:
        own = _loaded(job) if templates is None else list(templates)

    @cache
    def loaded(path: str) -> list[Template]:
        return load_templates(Path(path), mask=job.mask)

    result = [own] if job.count else []
    for region in job.regions:
        bitmaps = own if region.primitives is None else loaded(region.primitives)
        result.append([replace(t, name=f"{Path(region.mask).stem} {t.name}") for t in bitmaps])
    return result


def _split(templates: Sequence[Template], shares: Sequence[int]) -> list[list[Template]]:
    ends = np.cumsum(shares).tolist()
    return [list(templates[end - share : end]) for end, share in zip(ends, shares)]


def _groups(
    job: JobSpec,
    strategy: Strategy,
    shares: Sequence[int],
    inside: Sequence[Bools],
    masks: Sequence[Bools],
    drawable: Bools,
    size: tuple[int, int],
) -> tuple[Group, ...]:
    """The groups of a job's sprites, from the bottom of the stack.

    Args:
        shares: how many templates each has.
        inside: [2 H, 2 W] of each region.
        masks: [H, W] of each region.
        drawable: [H, W], where the job's other masks let sprites draw.
        size: width and height of the canvas.
    """
    ends = np.cumsum(shares).tolist()
    templates = [range(end - share, end) for end, share in zip(ends, shares)]
    result = []
    if job.count:
        rest = ~np.logical_or.reduce(masks) & drawable if masks else None
        result.append(Group(job.count, templates[0], _size_range(strategy, job, rest, size), rest))
    for number, region in enumerate(job.regions):
        mask = masks[number] & drawable
        result.append(
            Group(
                region.count,
                templates[len(result)],
                _size_range(strategy, region, mask, size, f" of region {number + 1}"),
                mask,
                inside[number] if region.confine else None,
                f"the region of {region.mask}",
            )
        )
    return tuple(result)


def _size_range(
    strategy: Strategy, asked: JobSpec | RegionSpec, mask: Bools | None, size: tuple[int, int], of: str = ""
) -> tuple[float, float]:
    """Smallest and largest longer side of sprites that lie in a mask [H, W], canvas pixels."""
    width, height = size
    area, longest = width * height, max(width, height)
    if mask is not None:
        area = int(mask.sum())
        longest = max(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) + 1 for axis in (0, 1))
    usual = strategy.size_range(size, (area, longest), asked.count)
    smallest, largest = asked.min_size or usual[0], asked.max_size or usual[1]
    # Beyond the limit a sprite is one colour on the whole canvas, and its numbers run out of bounds.
    limit = 16.0 * max(width, height)
    if smallest > limit:
        raise SmaltiError(
            f"min_size{of} is {asked.min_size}, but must be at most {limit:g} on this canvas.", code="bad_setting"
        )
    largest = min(largest, limit)
    if asked.min_size is None:
        smallest = min(smallest, largest)
    if asked.max_size is None:
        largest = max(smallest, largest)
    return smallest, largest


def _grey_of(picture: Floats) -> Floats:
    """[H, W] from premultiplied [H, W, 4]: what is transparent counts as black."""
    grey: Floats = picture[..., :3].mean(axis=2)
    return grey


def _at_both_sizes(image: NDArray[np.uint8], channel: Callable[[Floats], Floats], width: int, height: int) -> Floats:
    """[2, 2 height, 2 width]: a channel of a picture stretched over a canvas of twice the size, and of its own."""
    fine = channel(resize(image, FINER * width, FINER * height))
    own = channel(resize(image, width, height))
    return np.stack([fine, own.repeat(FINER, axis=0).repeat(FINER, axis=1)])


def _alpha(picture: Floats) -> Floats:
    return picture[..., 3]


def usable_device(asked: str) -> str:
    """The device for a job, which says why it is not a GPU. Raises SmaltiError, code ``"device_missing"``."""
    device = default_device() if asked == "auto" else asked
    if device not in available_devices():
        obstacle = cuda_obstacle() if device == "cuda" else None
        if obstacle is not None:
            raise SmaltiError(f"device is 'cuda', but: {obstacle.reason}", obstacle.hint, "device_missing")
        raise SmaltiError(
            f"device is {asked!r}, but this machine offers {', '.join(available_devices())}.",
            "Choose one of them, or auto.",
            "device_missing",
        )
    if device == "cuda":
        from ..cuda.driver import why_not

        if reason := why_not() or _gpu_fault():
            if asked == "cuda":
                raise SmaltiError(f"device is 'cuda', but: {reason}", code="device_missing")
            logger.warning("The GPU is not used: %s", reason)
            device = next(name for name in available_devices() if name != "cuda")
    elif asked == "auto" and (obstacle := cuda_obstacle()):
        logger.log(logging.WARNING if obstacle.fixable else logging.INFO, "The GPU is not used: %s", obstacle)
    return device


@cache
def _gpu_fault() -> str | None:
    """What a GPU does wrong that should work; it is tried once."""
    from ..raster.self_check import draws

    try:
        return None if draws("cuda") else "It computes something else than the CPU does (see smalti doctor)."
    except Exception as fault:  # a driver can fail in any way, and the CPU is there
        return f"It fails ({' '.join(str(fault).split())[:200]})."


def _loaded(job: JobSpec) -> list[Template]:
    bitmaps = [] if job.primitives is None else load_templates(Path(job.primitives), mask=job.mask)
    text = [] if job.text is None else text_templates(job.text, job.font, split=job.text_split)
    return bitmaps + text


def frames_of(target: Path) -> list[Path]:
    """The pictures of a target, one or a folder of them. Raises SmaltiError as `list_images`."""
    if target.is_dir():
        return list_images(target)
    return [target]


def _target(path: Path, width: int, height: int, mask: Floats | None) -> Floats:
    """[height, width, 4] premultiplied sRGB."""
    image = read_image(path, MAX_SIZE)
    _check_proportions(path, image.shape[1], image.shape[0], width, height)
    resized = resize(image, width, height)
    return resized if mask is None else resized * mask[..., None]


def _grey(path: str | None, width: int, height: int) -> Floats | None:
    """A grey picture, stretched over the canvas: [height, width], 0 to 1, black where it is transparent."""
    if path is None:
        return None
    return _grey_of(resize(read_image(Path(path), MAX_SIZE), width, height))


def _check_proportions(path: Path, own_width: int, own_height: int, width: int, height: int) -> None:
    # Within what rounding the canvas to whole pixels makes of the first frame's proportions.
    if abs(own_width * height - own_height * width) > 0.02 * own_height * width + max(own_width, own_height):
        raise SmaltiError(
            f"{path}: is {own_width} x {own_height} pixels, which does not fit the first frame's proportions.",
            "Give all frames the same size.",
            "frame_size",
        )


def _background(
    job: JobSpec, strategy: Strategy, target: Floats, templates: Sequence[Template]
) -> tuple[str, NDArray[np.uint8] | None]:
    asked = job.background
    if asked == "auto":
        if float(target[..., 3].min()) < 1 - 1 / 255:
            return "transparent", None
        palette = None if job.palette is None else palette_colors(job.palette, job.blend_space)
        if (job.colour_mix == 0 and palette is None) or strategy.background_is_mean:
            return hex_of(target[..., :3].mean(axis=(0, 1))), None
        thumbnails = [t.rgba[:: max(1, t.height // THUMBNAIL), :: max(1, t.width // THUMBNAIL)] for t in templates]
        colour = background_color(
            into_space(target, job.blend_space).astype(np.float64),
            [into_space(premultiply(rgba), job.blend_space) for rgba in thumbnails],
            job.colour_mix,
            palette,
        )
        return hex_of(out_of_space(np.append(colour, 1).astype(np.float32), job.blend_space)[:3]), None
    if asked == "transparent" or asked.startswith("#"):
        return asked.lower(), None
    return "background.png", read_image(Path(asked), MAX_SIZE)
