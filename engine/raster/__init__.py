# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable rasteriser: `composite`, its fusion with a loss, what a sprite is worth, and the back ends."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from .atlas import Atlas, build_atlas
from .scene import FusedStep, Scene, Step
from .trials import (
    AT_BOTTOM,
    IN_STACK,
    ON_TOP,
    Appraisal,
    Trials,
    best_paint,
)

__all__ = [
    "AT_BOTTOM",
    "BACK_ENDS",
    "IN_STACK",
    "ON_TOP",
    "Appraisal",
    "Atlas",
    "FusedStep",
    "Scene",
    "Step",
    "Trials",
    "appraise",
    "best_paint",
    "build_atlas",
    "composite",
    "fused_step",
    "image_loss",
    "removal_costs",
]

BACK_ENDS = {
    "cuda": "smalti.engine.cuda",
    "cpu": "smalti.engine.cpu",
    "reference": "smalti.engine.raster.reference",
}
"""Name of a back end -> module with the functions `composite` (scene), `image_loss` (scene, goal, absolute, encoded),
`removal_costs` (scene, goal) and `appraise` (scene, goal, trials), and where it has one the class `FusedStep` (atlas).
Imported when first asked for."""


def composite(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    size: tuple[int, int],
    background: Tensor | None = None,
    mix: float = 0.0,
    lod_bias: float = 0.0,
    stop: float = 1e-4,
    back_end: str = "cpu",
) -> Tensor:
    """Composite N sprites, index 0 at the bottom, over a background.

    The formula stands in docs/forward-model.md. Differentiable in `affine`, `opacity` and `tint`, once (no second
    derivatives); the background, the atlas and the numbers are constants.

    Args:
        affine: [N, 6] float, rows (a, b, c, d, e, f): u = a x + b y + c, v = d x + e y + f maps canvas pixels (x right,
            y down, pixel centres at halves) to template coordinates, in which the bitmap fills [-1, 1]^2. A sprite
            whose numbers are not finite, or whose map cannot be inverted, is not drawn and has gradient 0.
        opacity: [N] float, 0 to 1.
        tint: [N, 3] float, RGB in the blend space, 0 to 1, straight.
        template: [N] integer, index into the atlas.
        atlas: the templates' pyramids, in the same blend space.
        size: (height, width) of the canvas in pixels.
        background: [height, width, 4] float, premultiplied, in the blend space; None is transparent.
        mix: 0 paints templates in their tint, 1 keeps their own colours.
        lod_bias: added to the level of detail; above 0 it blurs every template (soft rasterisation).
        stop: a pixel ignores all sprites below the point where less than this much light passes; 0 for never.
        back_end: a key of `BACK_ENDS`.

    Returns:
        [height, width, 4] premultiplied RGBA in the blend space: float32 from the CPU, the type of `affine` from the
        reference.

    Raises:
        ValueError: shapes do not fit together, a template index or the canvas is out of range, unknown back end.
    """
    scene = _checked(affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop)
    function: Callable[[Scene], Tensor] = _module(back_end).composite
    return function(scene)


def image_loss(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    goal: Tensor,
    background: Tensor | None = None,
    mix: float = 0.0,
    lod_bias: float = 0.0,
    stop: float = 1e-4,
    kind: Literal["mse", "l1"] = "mse",
    encoded: bool = False,
    back_end: str = "cpu",
) -> Tensor:
    """The difference between what `composite` draws and a goal, differentiable like it (faster in one).

    Args:
        goal: [height, width, 4] float, premultiplied, in the blend space; a constant.
        kind: ``"mse"``, the mean over pixels and channels of the squared difference, or ``"l1"``, of the absolute one
            (whose slope at 0 is 0).
        encoded: the picture is in linear light, but compared as a display shows it: its premultiplied colours go
            through the sRGB curve first. The goal's have done so already.
        affine, opacity, tint, template, atlas, background, mix, lod_bias, stop, back_end: as `composite`.

    Returns:
        A scalar: float64 from the CPU, the type of `affine` from the reference.

    Raises:
        ValueError: as `composite`, or an unknown kind.
    """
    if goal.dim() != 3 or goal.shape[2] != 4:
        raise ValueError(f"the goal must have shape [height, width, 4], not {tuple(goal.shape)}")
    if kind not in ("mse", "l1"):
        raise ValueError(f"kind must be mse or l1, not {kind!r}")
    size = (goal.shape[0], goal.shape[1])
    scene = _checked(affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop)
    function: Callable[[Scene, Tensor, bool, bool], Tensor] = _module(back_end).image_loss
    return function(scene, goal, kind == "l1", encoded)


def removal_costs(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    goal: Tensor,
    background: Tensor | None = None,
    mix: float = 0.0,
    stop: float = 1e-4,
    back_end: str = "cpu",
) -> Tensor:
    """What each sprite is worth: by how much `image_loss` (mse) would grow without it. Exact, not a slope.

    Args:
        as `image_loss`.

    Returns:
        [N] float64 (the type of `affine` from the reference); below 0 for a sprite that does harm, 0 for one unseen.

    Raises:
        ValueError: as `image_loss`.
    """
    if goal.dim() != 3 or goal.shape[2] != 4:
        raise ValueError(f"the goal must have shape [height, width, 4], not {tuple(goal.shape)}")
    size = (goal.shape[0], goal.shape[1])
    scene = _checked(affine, opacity, tint, template, atlas, size, background, mix, 0.0, stop)
    function: Callable[[Scene, Tensor], Tensor] = _module(back_end).removal_costs
    return function(scene, goal)


def appraise(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    goal: Tensor,
    trials: Trials,
    background: Tensor | None = None,
    mix: float = 0.0,
    stop: float = 1e-4,
    back_end: str = "cpu",
) -> Appraisal:
    """What each sprite is worth, and what others would be in its place, on top or at the bottom. Exact, not a slope.

    Args:
        trials: what to try. Each is tried alone.
        affine, opacity, tint, template, atlas, goal, background, mix, stop, back_end: as `removal_costs`.

    Returns:
        See `Appraisal`; float64 from the CPU, the type of `affine` from the reference.

    Raises:
        ValueError: as `image_loss`, or a trial in no place, or one that replaces a sprite that does not exist.
    """
    if goal.dim() != 3 or goal.shape[2] != 4:
        raise ValueError(f"the goal must have shape [height, width, 4], not {tuple(goal.shape)}")
    size = (goal.shape[0], goal.shape[1])
    scene = _checked(affine, opacity, tint, template, atlas, size, background, mix, 0.0, stop)
    m = len(trials)
    if trials.affine.shape != (m, 6) or trials.replaces.shape != (m,) or trials.place.shape != (m,):
        raise ValueError("trials need affine [M, 6], template [M], replaces [M], place [M]")
    if m and (int(trials.template.min()) < 0 or int(trials.template.max()) >= atlas.count):
        raise ValueError(f"a trial refers to a template outside 0 .. {atlas.count - 1}")
    if m and (int(trials.replaces.min()) < -1 or int(trials.replaces.max()) >= len(affine)):
        raise ValueError(f"a trial replaces a sprite outside 0 .. {len(affine) - 1}")
    if m and (int(trials.place.min()) < IN_STACK or int(trials.place.max()) > AT_BOTTOM):
        raise ValueError("a trial's place is none of IN_STACK, ON_TOP and AT_BOTTOM")
    if bool(((trials.replaces < 0) & (trials.place != ON_TOP)).any()):
        raise ValueError("a trial that replaces nothing comes on top")
    function: Callable[[Scene, Tensor, Trials], Appraisal] = _module(back_end).appraise
    return function(scene, goal, trials)


def fused_step(back_end: str, atlas: Atlas) -> FusedStep | None:
    """The back end's fused step for sprites of this atlas; None where it has none. Raises ValueError as `composite`."""
    make: Callable[[Atlas], FusedStep] | None = getattr(_module(back_end), "FusedStep", None)
    return None if make is None else make(atlas)


def _module(back_end: str) -> ModuleType:
    if back_end not in BACK_ENDS:
        raise ValueError(f"no back end {back_end!r}; there are {', '.join(BACK_ENDS)}")
    return import_module(BACK_ENDS[back_end])


def _checked(
    affine: Tensor,
    opacity: Tensor,
    tint: Tensor,
    template: Tensor,
    atlas: Atlas,
    size: tuple[int, int],
    background: Tensor | None,
    mix: float,
    lod_bias: float,
    stop: float,
) -> Scene:
    n = len(affine)
    if affine.shape != (n, 6) or opacity.shape != (n,) or tint.shape != (n, 3) or template.shape != (n,):
        raise ValueError(
            f"need affine [N, 6], opacity [N], tint [N, 3], template [N], not {tuple(affine.shape)}, "
            f"{tuple(opacity.shape)}, {tuple(tint.shape)}, {tuple(template.shape)}"
        )
    if min(size) < 1:
        raise ValueError(f"the canvas must not be empty: {size}")
    if n and (int(template.min()) < 0 or int(template.max()) >= atlas.count):
        raise ValueError(f"a sprite refers to a template outside 0 .. {atlas.count - 1}")
    if background is not None and background.shape != (*size, 4):
        raise ValueError(f"the background must have shape {(*size, 4)}, not {tuple(background.shape)}")
    if background is not None and background.requires_grad and torch.is_grad_enabled():
        raise ValueError("the background is a constant: it has no gradient")
    return Scene(affine, opacity, tint, template, atlas, size, background, mix, lod_bias, stop)
