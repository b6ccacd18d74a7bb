# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sprites start: large and calm at the bottom, small and detailed on top.

The structure-aware start of DiffBMP (arXiv 2602.22625) draws positions by local variance. Here positions are drawn
evenly along a space-filling curve weighted by detail, which spreads them like blue noise instead of clumping, and each
sprite's size follows from the room that the draw left it; bitmaps with a long axis lie along the edges of the picture.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..groups import Group

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sprites = dict[str, NDArray[Any]]

OVERLAP = 2.2
"""Mean number of sprites over a point at the start."""
CROWDED = 1.5
"""How many times `OVERLAP` sprites may lie over a point before they start fainter."""
FLATNESS = 0.12
"""Share of the draw that a region without any detail keeps."""


@dataclass(frozen=True)
class Shape:
    """What the start needs to know of a template.

    Attributes:
        width, height: texels.
        coverage: mean alpha, 0 to 1.
        axis: angle of the long axis of its alpha, radians, +x towards +y.
        elongation: 0 for a disc or a square, towards 1 for a line.
        colour: mean RGB, in the blend space.
    """

    width: int
    height: int
    coverage: float
    axis: float
    elongation: float
    colour: tuple[float, float, float]


def shape_of(premultiplied: NDArray[np.floating]) -> Shape:
    """Measure a template, [height, width, 4] premultiplied in the blend space, by the moments of its alpha."""
    height, width = premultiplied.shape[:2]
    alpha = premultiplied[..., 3].astype(np.float64)
    total = max(alpha.sum(), 1e-9)
    y, x = np.mgrid[0:height, 0:width]
    x, y = x - (alpha * x).sum() / total, y - (alpha * y).sum() / total
    xx, yy, xy = (alpha * x * x).sum() / total, (alpha * y * y).sum() / total, (alpha * x * y).sum() / total
    spread, mean = np.hypot(0.5 * (xx - yy), xy), 0.5 * (xx + yy)
    minor, major = max(mean - spread, 0.0), mean + spread
    colour = premultiplied[..., :3].reshape(-1, 3).sum(axis=0, dtype=np.float64) / total
    return Shape(
        width,
        height,
        float(total / alpha.size),
        float(0.5 * np.arctan2(2 * xy, xx - yy)),
        float(1 - np.sqrt(minor / major)) if major > 0 else 0.0,
        (float(colour[0]), float(colour[1]), float(colour[2])),
    )


def box_mean(plane: Floats, radius: int) -> Floats:
    """Mean over a window of 2 radius + 1 pixels a side; edges repeat. plane [H, W] or [H, W, C]."""
    window = 2 * radius + 1
    for _ in (0, 1):
        pad = [(radius + 1, radius), *[(0, 0)] * (plane.ndim - 1)]
        sums = np.cumsum(np.pad(plane, pad, mode="edge"), axis=0)
        plane = ((sums[window:] - sums[:-window]) / window).swapaxes(0, 1)
    return plane


def detail_of(picture: Floats) -> Floats:
    """[H, W, C] -> [H, W], 0 to 1: local standard deviation over two window sizes, the busiest 5 % at 1."""
    total = np.zeros(picture.shape[:2])
    for radius in (2, max(3, min(picture.shape[:2]) // 64)):
        mean = box_mean(picture, radius)
        total += np.sqrt(np.maximum(box_mean(picture**2, radius) - mean**2, 0).sum(axis=2))
    top = np.quantile(total, 0.95)
    return np.clip(total / top, 0, 1) if top > 1e-6 else np.zeros_like(total)


def edges_of(picture: Floats) -> tuple[Floats, Floats]:
    """Structure tensor of [H, W, C]: the direction along edges [H, W] (radians) and its coherence [H, W], 0 to 1."""
    dy, dx = np.gradient(picture, axis=(0, 1))
    radius = max(2, min(picture.shape[:2]) // 100)
    xx, yy, xy = (box_mean(p.sum(axis=2), radius) for p in (dx * dx, dy * dy, dx * dy))
    along = 0.5 * np.arctan2(2 * xy, xx - yy) + 0.5 * np.pi
    return along, np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-4)


def _hilbert(width: int, height: int) -> NDArray[np.int64]:
    """The pixels (row * width + column) of a canvas in the order of Hilbert's curve."""
    order = max(1, int(np.ceil(np.log2(max(width, height)))))
    y, x = (g.ravel().astype(np.int64) for g in np.mgrid[0:height, 0:width])
    index = np.zeros_like(x)
    # The usual conversion from (x, y) to the distance along the curve, quadrant by quadrant.
    side = 1 << (order - 1)
    while side:
        right, lower = ((x & side) > 0).astype(np.int64), ((y & side) > 0).astype(np.int64)
        index += side * side * ((3 * right) ^ lower)
        flip = (lower == 0) & (right == 1)
        x, y = (
            np.where(flip, side - 1 - (x & (side - 1)), x & (side - 1)),
            np.where(flip, side - 1 - (y & (side - 1)), y & (side - 1)),
        )
        x, y = np.where(lower == 0, y, x), np.where(lower == 0, x, y)
        side >>= 1
    return np.argsort(index, kind="stable")


class Placer:
    """Makes sprites for given places of a target.

    Args:
        target: [H, W, 4] premultiplied, in the blend space.
        shapes: the templates.
        mix: colour mix.
        group: the sprites' templates, sizes and place.
        upright: no rotation.
    """

    def __init__(self, target: Floats, shapes: Sequence[Shape], mix: float, group: Group, upright: bool) -> None:
        self.target = target
        self.shapes = shapes
        self.group = group
        self._mix = mix
        self.upright = upright
        self._order = _hilbert(target.shape[1], target.shape[0])
        self._along, self._coherence = edges_of(target[..., :3])
        self._means: dict[int, Floats] = {}
        longer = np.array([max(s.width, s.height) for s in shapes], np.float64)
        # How much of a square about the template is covered, and where its long axis lies.
        self.filled = np.maximum(np.array([s.coverage * s.width * s.height for s in shapes]) / longer**2, 1e-6)
        self.axis = np.array([s.axis for s in shapes])

    def of(self, group: Group) -> Placer:
        """The same for another group; what is known of the target is shared."""
        other = copy.copy(self)
        other.group = group
        return other

    def draw(self, density: Floats, count: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
        """Rows and columns of `count` pixels, spread evenly with the density [H, W] where the group's centres may be.

        There it must not be 0 everywhere.
        """
        reached = np.cumsum(self.group.within(density).ravel()[self._order])
        draw = (np.arange(count) + rng.uniform(0, 1, count)) / count * reached[-1]
        pixel = self._order[np.minimum(np.searchsorted(reached, draw), len(self._order) - 1)]
        row, column = np.divmod(pixel, density.shape[1])
        return row, column

    def at(
        self,
        row: Integers,
        column: Integers,
        radius: Floats,
        rng: np.random.Generator,
        template: NDArray[np.integer] | None = None,
    ) -> Sprites:
        """Sprites that cover about as much as discs of `radius` [N] (pixels) about these pixels would (see `start`).

        `template` [N] are theirs; None chooses.
        """
        count = len(row)
        colour = self._colour_under(row, column, radius)
        if template is None:
            template = self._choose(colour, rng)
        # A bitmap with holes or a slim one is made larger, so that it covers as much; within reason.
        scale = self.allowed(radius * np.minimum(np.sqrt(np.pi / 4 / self.filled), 2.5)[template])

        axis, elongation = self.axis[template], np.array([s.elongation for s in self.shapes])[template]
        aligned = rng.uniform(0, 1, count) < self._coherence[row, column] * np.minimum(2 * elongation, 1)
        half_turn = np.pi * rng.integers(0, 2, count)
        theta = np.where(aligned, self._along[row, column] - axis + half_turn, rng.uniform(-np.pi, np.pi, count))
        theta = np.zeros(count) if self.upright else (theta + np.pi) % (2 * np.pi) - np.pi

        own = np.array([s.colour for s in self.shapes])[template]
        tint = (colour - self._mix * own) / max(1 - self._mix, 0.05)
        return {
            "template": template.astype(np.int32),
            "x": column + rng.uniform(0, 1, count),
            "y": row + rng.uniform(0, 1, count),
            "scale": scale,
            "aspect": np.zeros(count),
            "theta": theta,
            "opacity": np.full(count, 0.8),
            "tint": np.clip(tint + rng.normal(0, 0.02, tint.shape), 0.02, 0.98),
        }

    def choose(self, row: Integers, column: Integers, radius: Floats, rng: np.random.Generator) -> Integers:
        """Templates for sprites of about `radius` [N] (pixels) about these pixels: by likeness where colours show."""
        return self._choose(self._colour_under(row, column, radius), rng)

    def allowed(self, scale: Floats) -> Floats:
        """The scales that the range of sizes allows."""
        return np.clip(scale, 0.5 * self.group.size_range[0], 0.5 * self.group.size_range[1])

    def _colour_under(self, row: Integers, column: Integers, radius: Floats) -> Floats:
        """[N, 3] straight mean colour of the target about each position, over roughly the sprite's radius."""
        colours = np.zeros((len(row), 3))
        steps = np.clip(np.rint(np.log2(np.maximum(0.5 * radius, 1))), 0, 6).astype(int)
        for step in np.unique(steps).tolist():
            if step not in self._means:
                self._means[step] = box_mean(self.target, 2**step // 2).astype(np.float32)
            here = steps == step
            picked = self._means[step][row[here], column[here]].astype(np.float64)
            colours[here] = picked[:, :3] / np.maximum(picked[:, 3:], 1e-3)
        return colours

    def _choose(self, colour: Floats, rng: np.random.Generator) -> Integers:
        """Templates for N sprites: in equal shares where only their alpha shows, by likeness where their colours do."""
        first, number = self.group.templates.start, len(self.group.templates)
        shares = first + rng.permutation(np.arange(len(colour)) % number)
        if self._mix == 0 or number == 1:
            return shares
        # One template at a time: sprites x templates x channels at once would not fit for large folders and counts.
        shapes = self.shapes[first : first + number]
        distance = np.stack([((colour - np.array(s.colour)) ** 2).sum(axis=1) for s in shapes], axis=1)
        # Gumbel's trick draws from exp(-distance / spread) without a loop; a small mix chooses nearly freely.
        spread = 0.02 / self._mix**2
        chosen: Integers = first + np.argmax(-distance / spread + rng.gumbel(size=distance.shape), axis=1)
        return chosen


def joined(parts: Sequence[Sprites]) -> Sprites:
    """Sprites above sprites."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def start(
    placer: Placer,
    count: int,
    rng: np.random.Generator,
    flatness: float = FLATNESS,
    overlap: float = OVERLAP,
    template: NDArray[np.integer] | None = None,
) -> Sprites:
    """Choose the starting sprites, bottom of the stack first.

    Args:
        placer: target and templates.
        count: N.
        rng: source of every random choice.
        flatness: share of the draw that a region without any detail keeps, above 0.
        overlap: mean number of sprites over a point.
        template: [N] the templates from the bottom of the stack to its top; None chooses.

    Returns:
        ``template`` [N] int32; ``x``, ``y``, ``scale``, ``aspect``, ``theta``, ``opacity`` [N] and ``tint`` [N, 3]
        float64, in the units of `smalti.bridge.composition`.
    """
    alpha = placer.target[..., 3]
    density = (flatness + (1 - flatness) * detail_of(placer.target)) * alpha + 1e-9
    row, column = placer.draw(density, count, rng)
    # Room for one sprite here, in pixels, and from it the radius of a disc that covers it `overlap` times over.
    room = placer.group.within(density).sum() / (count * box_mean(density, 2)[row, column])
    radius = np.sqrt(overlap * room / np.pi) * np.exp(rng.uniform(-0.35, 0.35, count))
    if template is not None:
        stack = np.argsort(-radius, kind="stable")
        return placer.at(row[stack], column[stack], radius[stack], rng, template)
    sprites = placer.at(row, column, radius, rng)
    stack = np.argsort(-sprites["scale"], kind="stable")
    sprites["opacity"] *= _thinned(placer, sprites, overlap, float(alpha.sum()))
    return {name: values[stack] for name, values in sprites.items()}


def _thinned(placer: Placer, sprites: Sprites, overlap: float, area: float) -> float:
    """Factor of the opacities where the smallest size allowed piles sprites far higher than `overlap` on `area` pixels.

    In a pile of opaque ones none would have a slope: what lies below is hidden, and what lies on top changes nothing.
    """
    covered = (4 * sprites["scale"] ** 2 * placer.filled[sprites["template"]]).sum()
    return float(min(1.0, CROWDED * overlap * max(area, 1.0) / covered))
