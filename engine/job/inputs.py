# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a job reads, checked before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from smalti.bridge.choices import AUTO
from smalti.bridge.errors import SmaltiError, named
from smalti.bridge.folder import BACKGROUND
from smalti.bridge.job import MAX_SIZE, JobSpec

from ..arrays import BoolArray, Float32Array, UInt8Array
from ..colour import hex_of, into_space, out_of_space
from ..composition import background_pixels
from ..composition.atlases import AtlasCache
from ..files.images import premultiply, read_image
from ..fitting.constraints.appearance import prevailing
from ..fitting.constraints.overflow import FINER
from ..fitting.constraints.palette import PaletteSettings, palette_colors
from ..fitting.fit import Fit
from ..fitting.groups import Group
from ..fitting.initialise.background import background_color
from ..fitting.objective.losses import PictureDistance
from ..fitting.placement import Placement
from ..fitting.plan import FitPlan, objective_of, optimiser_settings, strategy_of
from ..fitting.strategy import Strategy
from ..fitting.tracks import Tracks
from ..fitting.use_limits import check_uses
from ..templates import Template, uniquely_named
from .bitmaps import load_bitmaps
from .device import resolve_device
from .footage import footage_of
from .frames import TargetFrames, canvas_of
from .grid import with_grid
from .masks import VISIBLE, Masks, read_masks, whole_pixels
from .placement import placement_of
from .regions import check_regions, groups_of
from .text_file import with_text
from .vgg_weights import read_features

THUMBNAIL = 64
"""Texels a side, or a little more, of the reduced template from which its colors are taken."""
PIXELS = 100_000
"""Of the target, about, that say which color of a palette prevails."""
MIN_FRAME_STEPS = 20
"""Gradient steps of each later frame, at least, where the job leaves them open."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """A job's pictures, and its settings with every open one filled in.

    Attributes:
        job: the job.
        frames: the target's frames (one for a still).
        width, height: canvas in pixels.
        masks: the job's masks on that canvas.
        templates: those of all groups, in the order of the groups.
        groups: the job's own sprites, where it has any, and those of its regions.
        background: ``"transparent"``, ``"#rrggbb"``, or the name of the file that keeps `background_image` in the job.
        background_image: [h, w, 4], straight alpha, sRGB-encoded, or None.
        steps, frame_steps, device: the job's, or what follows from canvas, count and templates.
        features: the layers of VGG16 that the job's loss needs, or None.
        strategy: how sprites begin and move, see `smalti.engine.fitting.strategy`.
        placement: where the job's own sprites begin, if it says so.
    """

    job: JobSpec
    frames: TargetFrames
    width: int
    height: int
    masks: Masks
    templates: list[Template]
    groups: tuple[Group, ...]
    background: str
    background_image: UInt8Array | None
    steps: int
    frame_steps: int
    device: str
    features: PictureDistance | None
    strategy: Strategy
    placement: Placement | None = None

    @property
    def count(self) -> int:
        """Number of sprites in all groups."""
        return sum(group.count for group in self.groups)

    @property
    def regions(self) -> tuple[Group, ...]:
        """The groups that are regions."""
        return self.groups[1:] if self.job.count else self.groups

    @property
    def size_range(self) -> tuple[float, float]:
        """Smallest and largest longer side of any sprite, canvas pixels."""
        return min(g.size_range[0] for g in self.groups), max(g.size_range[1] for g in self.groups)

    @property
    def weight_map(self) -> Float32Array | None:
        """[height, width], 0 to 1, how much a pixel counts; None where all count alike."""
        return self.masks.weights

    def target(self, frame: int) -> Float32Array:
        """[height, width, 4] premultiplied, in the blend space, under the target mask. Not to be changed in place.

        Raises:
            SmaltiError: the picture cannot be read, or has other proportions than the first.
        """
        return self.frames[frame].target

    @cached_property
    def background_pixels(self) -> Float32Array | None:
        """[height, width, 4] premultiplied, in the blend space; None where it is transparent."""
        return background_pixels(self.background, self.background_image, self.width, self.height, self.job.blend_space)

    @cached_property
    def atlases(self) -> AtlasCache:
        """The templates' atlases, for the fit and for pictures of its result."""
        return AtlasCache(self.templates, self.job.blend_space, most=3 * len(self.groups))

    def drawable_target(self, frame: int) -> Float32Array:
        """`target`, empty where sprites may not draw."""
        target = self.target(frame)
        return target * whole_pixels(self.inside(frame))[..., None] if self._has_outside else target

    def goal(self, frame: int) -> Float32Array:
        """[height, width, 4] premultiplied, sRGB-encoded: what a picture of the result is compared to.

        That is the target over the background; the target counts only where sprites may draw.
        """
        target, background = self.drawable_target(frame), self.background_pixels
        if background is not None:
            target = target + (1 - target[..., 3:]) * background
        return out_of_space(target, self.job.blend_space)

    def fitting(self, tracks: Tracks | None = None) -> Fit:
        """The fit of these inputs, at its first step. `tracks`: keeps its finished frames; None for memory."""
        job = self.job
        first = self.target(0)
        # Where the target has holes, sprites must leave them open whatever lies behind: they are fitted on noise.
        alone = self.background == "transparent" or float(first[..., 3].min()) < 1 - 1 / 255
        strategy = self.strategy.for_cut_out() if alone else self.strategy
        settings = optimiser_settings(
            job,
            strategy,
            self.groups,
            (self.height, self.width),
            self.steps,
            self.device,
            objective_of(job, strategy, self.features, self.weight_map),
        )
        plan = FitPlan(
            job,
            self.target,
            len(self.frames),
            None if alone else self.background_pixels,
            self.atlases,
            self.groups,
            self.inside if self._has_outside else None,
            settings,
            self.frame_steps,
            strategy,
            self.placement,
        )
        return Fit(plan, tracks)

    @property
    def _has_outside(self) -> bool:
        return bool(self.job.keep_in or self.job.keep_out or self.job.inside_outline)

    def inside(self, frame: int) -> BoolArray:
        """[2 height, 2 width]: where sprites may draw in a frame (see `smalti.engine.job.masks`).

        Raises:
            SmaltiError: a picture cannot be read; or nothing of the target lies there (code ``"region_empty"``).
        """
        outline, drawable = self.frames[frame].outline, self.masks.drawable
        result = np.ones((FINER * self.height, FINER * self.width), bool)
        for part in (drawable, outline):
            if part is not None:
                result &= part
        visible = self.target(frame)[..., 3].repeat(FINER, axis=0).repeat(FINER, axis=1) * result
        if visible.max() < VISIBLE:
            job, footage = self.job, self.frames.footage
            requested = ", ".join(
                named(name) for name in ("keep_in", "keep_out", "inside_outline") if getattr(job, name)
            )
            mask = job.keep_in or job.keep_out
            what = f"{footage.title(frame)}: nothing of the target"
            if mask is not None:
                what = f"{mask}: nothing of the target ({Path(footage.title(frame)).name})"
            raise SmaltiError(
                f"{what} lies where sprites may draw ({requested}).",
                f"White marks where sprites may draw in {named('keep_in')}, "
                f"and where they may not in {named('keep_out')}.",
                "region_empty",
            )
        return result


def read_inputs(
    job: JobSpec,
    templates: Sequence[Template] | None = None,
    template_counts: Sequence[int] | None = None,
    strategy: Strategy | None = None,
    placement: Placement | None = None,
) -> Inputs:
    """Read and check everything that a job needs.

    Args:
        job: its paths may be relative to the current folder.
        templates: the templates if they are loaded already; None loads `job.primitives` and draws `job.text`.
        template_counts: if the templates of regions are among them: how many are of each group (see `Inputs`).
        strategy: how to fit; None takes that of the job's preset.
        placement: where the job's own sprites begin, if it is known already.

    Raises:
        SmaltiError: a setting or one of the files is unusable; nothing has been written.
    """
    job = job.checked()
    job = with_text(job) if templates is None else job
    strategy = strategy or strategy_of(job)
    device = resolve_device(job.device)
    footage = footage_of(job)
    first = footage.read(0)
    size = canvas_of(footage.title(0), first, job.size)
    masks = read_masks(job, size)
    frames = TargetFrames(footage, job, masks, first)
    target = frames[0].encoded
    _check_visible(footage.title(0), target)
    check_regions(job, masks, target[..., 3])
    by_group = load_bitmaps(job, size, templates, template_counts)
    if not all(by_group):
        raise SmaltiError("There are no bitmaps to work with.", "Give at least one.", "no_bitmaps")
    placement = placement or placement_of(job, by_group[0], target[..., 3])
    if placement is not None:
        job = with_grid(replace(job, count=len(placement)))
    all_templates = uniquely_named(template for own in by_group for template in own)
    background, image = _background(job, strategy, target, all_templates)
    groups = groups_of(job, strategy, by_group, masks, placement)
    check_uses(job, groups, (size[1], size[0]))
    steps = job.steps or strategy.steps(sum(group.count for group in groups))
    return Inputs(
        job,
        frames,
        *size,
        masks,
        all_templates,
        groups,
        background,
        image,
        steps,
        job.frame_steps or max(MIN_FRAME_STEPS, round(steps / 6)),
        device,
        None if job.loss_weights_file is None else read_features(Path(job.loss_weights_file)),
        strategy,
        placement,
    )


def _check_visible(title: str, target: Float32Array) -> None:
    """Check that a target [H, W, 4] under its mask shows anything."""
    if target[..., 3].max() < VISIBLE:
        raise SmaltiError(
            f"{title}: is transparent everywhere, so there is nothing to rebuild.",
            "Choose another picture.",
            "target_transparent",
        )


def _background(
    job: JobSpec, strategy: Strategy, target: Float32Array, templates: Sequence[Template]
) -> tuple[str, UInt8Array | None]:
    """`Inputs.background` and `Inputs.background_image`.

    Args:
        target: [H, W, 4] premultiplied, sRGB-encoded.
    """
    if job.background_is_file:
        return BACKGROUND, read_image(Path(job.background), MAX_SIZE)
    if job.background != AUTO:
        return job.background.lower(), None
    if float(target[..., 3].min()) < 1 - VISIBLE:
        return "transparent", None
    palette = None if job.palette is None else palette_colors(job.palette, job.blend_space)
    if job.palette is not None and len(job.palette) > 1:
        pixels = target[..., :3].reshape(-1, 3)[:: max(1, target[..., 3].size // PIXELS)]
        return job.palette[
            prevailing(pixels, palette_colors(job.palette, "srgb"), PaletteSettings().hue_weight)
        ].lower(), None
    if (job.colour_mix == 0 and palette is None) or strategy.background_is_mean or job.grid is not None:
        return hex_of(target[..., :3].mean(axis=(0, 1))), None
    thumbnails = [t.rgba[:: max(1, t.height // THUMBNAIL), :: max(1, t.width // THUMBNAIL)] for t in templates]
    color = background_color(
        into_space(target, job.blend_space).astype(np.float64),
        [into_space(premultiply(rgba), job.blend_space) for rgba in thumbnails],
        job.colour_mix,
        palette,
    )
    return hex_of(out_of_space(np.append(color, 1).astype(np.float32), job.blend_space)[:3]), None
