# SPDX-License-Identifier: GPL-3.0-or-later
"""What is composited: sprites and their canvas, as arrays, and the gradients by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from .atlas import Atlas

STOP = 1e-4
"""Transmittance below which a pixel is finished, unless a scene says otherwise."""

STRIP_ROWS = 16
"""Strips of a canvas begin at rows that are multiples of it (`kTile` in engine/kernels/sprite.h)."""


class Array(Protocol):
    """A NumPy array, or an array in a GPU's memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=Array)


@dataclass(frozen=True, eq=False)
class Scene(Generic[ArrayT]):
    """N sprites, index 0 at the bottom, and the canvas they are composited on. Checked when it is made.

    Variants are made by `dataclasses.replace`. All arrays are of one kind: NumPy arrays, or a GPU's (or, in
    `smalti.engine.pytorch`, torch's tensors). A sprite
    whose numbers are not finite, or whose map cannot be inverted, is not drawn and has gradient 0.

    Attributes:
        affine: [N, 6] float, rows (a, b, c, d, e, f): u = a x + b y + c, v = d x + e y + f maps canvas pixels (x right,
            y down, pixel centers at halves) to template coordinates, in which the bitmap fills [-1, 1]^2.
        opacity: [N] float, 0 to 1.
        tint: [N, 3] float, RGB in the blend space, 0 to 1, straight.
        template: [N] integer, index into the atlas.
        atlas: the templates' mip pyramids, in the same blend space.
        size: (height, width) of the canvas in pixels.
        background: [height, width, 4] float, premultiplied, in the blend space; None is transparent.
        mix: 0 shows templates in their tint, 1 in their own colors.
        shade: 0 shows a tint flat, 1 with all of the template's light and shade: how its luma differs from its mean.
        lod_bias: added to the level of detail; above 0 it blurs every template (soft rasterisation).
        stop: transmittance below which a pixel ignores all sprites further down; 0 for never.
        first_row: where the canvas is a strip of a larger one, how many rows of that lie above, a multiple of
            `STRIP_ROWS`. Maps are those of the larger one, and so are the picture's bits. Only the CPU takes strips.

    Raises:
        ValueError: shapes do not fit together, the canvas is empty, a template index is outside the atlas, or a strip
            begins at another row.
    """

    affine: ArrayT
    opacity: ArrayT
    tint: ArrayT
    template: ArrayT
    atlas: Atlas
    size: tuple[int, int]
    background: ArrayT | None = None
    mix: float = 0.0
    lod_bias: float = 0.0
    stop: float = STOP
    first_row: int = 0
    shade: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.affine)
        shapes = tuple(tuple(a.shape) for a in (self.affine, self.opacity, self.tint, self.template))
        if shapes != ((n, 6), (n,), (n, 3), (n,)):
            listed = ", ".join(str(shape) for shape in shapes)
            raise ValueError(f"need affine [N, 6], opacity [N], tint [N, 3], template [N], not {listed}")
        if min(self.size) < 1:
            raise ValueError(f"the canvas must not be empty: {self.size}")
        if self.first_row < 0 or self.first_row % STRIP_ROWS:
            raise ValueError(f"a strip must begin at a multiple of {STRIP_ROWS} rows, not at {self.first_row}")
        check_templates(self.template, self.atlas, "sprite")
        if self.background is not None and tuple(self.background.shape) != (*self.size, 4):
            raise ValueError(f"the background must have shape {(*self.size, 4)}, not {tuple(self.background.shape)}")

    def __len__(self) -> int:
        return len(self.affine)

    def tinted(self, tint: ArrayT) -> Scene[ArrayT]:
        """The same sprites in flat tints [N, 3], whatever their bitmaps' colors."""
        return replace(self, tint=tint, mix=0.0, shade=0.0)


def check_templates(template: Any, atlas: Atlas, noun: str) -> None:
    """Raise ValueError where one of the indices [N] is outside the atlas. `noun`: what refers to it."""
    if len(template) and (int(template.min()) < 0 or int(template.max()) >= atlas.count):
        raise ValueError(f"a {noun} refers to a template outside 0 .. {atlas.count - 1}")


def check_goal(scene: Scene[Any], goal: Array) -> None:
    """Raise ValueError where the goal is not as large as the scene's canvas, [height, width, 4]."""
    if tuple(goal.shape) != (*scene.size, 4):
        raise ValueError(f"the goal must have shape {(*scene.size, 4)}, not {tuple(goal.shape)}")


def loss_scale(size: tuple[int, int]) -> float:
    """What a sum over the pixels of a canvas (height, width) and their four channels is multiplied by to be a loss.

    It makes the mean over the three channels of color, for over an opaque background alpha is equal. Where alpha
    differs, its difference is added to theirs.
    """
    return 1 / (3 * size[0] * size[1])


@dataclass(frozen=True, eq=False)
class Gradients(Generic[ArrayT]):
    """Gradients of a scalar by the numbers of N sprites.

    Attributes:
        affine: [N, 6].
        opacity: [N].
        tint: [N, 3].
    """

    affine: ArrayT
    opacity: ArrayT
    tint: ArrayT
