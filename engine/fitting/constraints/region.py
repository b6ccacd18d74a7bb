# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the canvas that sprites may not leave.

Whether a sprite leaves it is asked of the renderer itself (the CPU's, which draws finished pictures): with opacities
next to 0, the slope of the alpha outside, summed, by a sprite's opacity is what that sprite draws there, and its slopes
by place and angle say how to bring it back. No outline stands in for the bitmap, so strokes, rings and leaves come as
near the edge as their shapes allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smalti.bridge.errors import SmaltiError

from ...raster import Atlas, composite
from ...raster.atlas import texels_for
from ...raster.geometry import affine_maps, half_sizes
from ..groups import Group
from ..initialise import Sprites, box_mean

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

PLACE = ("x", "y", "scale", "theta")
"""What decides whether a sprite is inside."""

FINER = 2
"""How many times larger a side than the canvas the picture is in which nothing may be outside either."""
SPILL = 1e-5
"""Alpha outside, summed over pixels, below which a sprite is inside: a hundredth of a level of 255."""
FAINT = 1e-4
"""Opacity at which sprites are asked: they hide each other by no more than that."""
PUSHES = 2
"""Tries to bring back a sprite that a step has moved outside, before the step is undone."""
SHRINKS, SHRINK = 14, 0.85
"""Tries to fit a sprite in where it was put, and the factor of its size from one to the next."""
CANDIDATES = 16_384
"""Places that are tried, over all bitmaps together, to find out where the smallest sprites fit."""
ANGLES = 16
HOMES = 64
"""Of those places, how many of the nearest a sprite tries that fits in nowhere else."""


class Region:
    """Keeps sprites inside.

    Args:
        inside: [2 H, 2 W], where sprites may draw, in pixels of half the canvas's. A pixel of the canvas is inside if
            all four of its quarters are. Beyond the canvas a sprite may be wherever it likes.
        group: of the sprites.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        turn: angles are multiples of this, radians; 0 allows 0 alone, None every angle.

    Attributes:
        inside: [H, W].

    Raises:
        SmaltiError: no pixel is inside where the group's centres may be (code ``"region_empty"``), or no bitmap fits
            in anywhere at its smallest (``"region_too_small"``).
    """

    def __init__(
        self,
        inside: Bools,
        group: Group,
        atlas_of: Callable[[int], Atlas],
        shapes: Floats,
        turn: float | None,
    ) -> None:
        height, width = inside.shape[0] // FINER, inside.shape[1] // FINER
        self.inside: Bools = np.asarray(inside.reshape(height, FINER, width, FINER).all(axis=(1, 3)))
        self._outside = {1: torch.from_numpy(~self.inside).double(), FINER: torch.from_numpy(~inside).double()}
        # How many pixels outside lie above and left of each corner: a rectangle holds none if four of these agree.
        self._counts = np.pad(np.cumsum(np.cumsum(~self.inside, axis=0), axis=1), ((1, 0), (1, 0)))
        self._atlas_of, self._shapes = atlas_of, torch.from_numpy(shapes)
        smallest, largest = group.size_range
        self._atlas = atlas_of(texels_for(largest))
        self._longer = shapes.max(axis=1)
        self._smallest = 0.5 * smallest
        self._turn = turn
        self._group = group
        allowed = np.flatnonzero(group.within(self.inside.astype(np.float64)))
        if not len(allowed):
            raise SmaltiError(
                f"Nothing of {group.name} lies where sprites may draw.", "Change one of the masks.", "region_empty"
            )
        self._homes = self._find_homes(allowed)
        if not self._homes:
            raise SmaltiError(
                f"No bitmap fits into {group.name}, not even {smallest:.3g} pixels large (min_size).",
                "Choose a smaller min_size, or a larger part.",
                "region_too_small",
            )

    def spilling(self, sprites: Mapping[str, NDArray[Any]]) -> Bools:
        """[N]: which sprites draw outside, in the picture or in the one of twice the size.

        Args:
            sprites: all there are: at least ``template``, ``x``, ``y``, ``scale``, ``aspect`` and ``theta``, in the
                units of `smalti.bridge.composition`.
        """
        return self._spilling(sprites, self._atlases(sprites))

    def keep(self, sprites: Sprites, before: Mapping[str, NDArray[Any]]) -> Sprites:
        """The sprites after a step, back inside; where that fails, as they were `before`, when they were inside.

        A sprite at the edge is moved and turned, but not made smaller, only kept from growing: otherwise those that the
        picture draws to an edge would shrink a little with each step until nothing is left.
        """
        result = _copied(sprites)
        bad = np.flatnonzero(self._near(result))
        for pushes in range(PUSHES + 1):
            bad = self._push(result, bad, {1: self._atlas})
            if not len(bad):
                break
            if pushes == 0:
                result["scale"][bad] = np.minimum(result["scale"][bad], before["scale"][bad])
        for name in PLACE:
            result[name][bad] = before[name][bad]
        return result

    def settle(self, sprites: Mapping[str, NDArray[Any]]) -> Sprites:
        """Sprites from anywhere, inside, as near to where they are and as large as can be found at little cost.

        Centres that are where the group's may be stay there. In the end one takes the smallest size at a place where
        its bitmap is known to fit. One whose bitmap fits in nowhere gets another bitmap.
        """
        result = _copied(sprites)
        known: dict[int, Atlas] | None = None
        # Sprites only shrink here, so the bitmaps that they show are soon the same as before.
        while (atlases := self._atlases(result)) != known:
            known = atlases
            bad = np.flatnonzero(self._near(result))
            for _ in range(SHRINKS):
                bad = self._push(result, bad, atlases)
                if not len(bad):
                    break
                self._recall(result, bad, sprites)
                smallest = np.minimum(self._smallest, result["scale"][bad])
                result["scale"][bad] = np.maximum(SHRINK * result["scale"][bad], smallest)
            for k in bad[self._spilling(_some(result, bad), atlases)].tolist():
                self._send_home(result, k, atlases)
        return result

    def _recall(self, sprites: Sprites, which: NDArray[np.int64], before: Mapping[str, NDArray[Any]]) -> None:
        """Put those of the sprites `which` back where they were `before` whose centres their group no longer holds."""
        now, then = _some(sprites, which), _some(before, which)
        lost = which[self._group.holds(then["x"], then["y"]) & ~self._group.holds(now["x"], now["y"])]
        for name in ("x", "y"):
            sprites[name][lost] = before[name][lost]

    def _send_home(self, sprites: Sprites, k: int, atlases: Mapping[int, Atlas]) -> None:
        """Put a sprite, at the smallest size, where its bitmap fits; where none does, its opacity becomes 0."""
        known = sorted(self._homes)
        template = int(sprites["template"][k])
        if template not in self._homes:
            template = known[k % len(known)]
        homes = self._homes[template]
        away = (homes[:, 0] - sprites["x"][k]) ** 2 + (homes[:, 1] - sprites["y"][k]) ** 2
        homes = homes[np.argsort(away, kind="stable")[:HOMES]]
        good = np.flatnonzero(~self._spilling(self._at_home(template, homes), atlases))
        sprites["template"][k] = template
        sprites["scale"][k] = self._smallest
        sprites["x"][k], sprites["y"][k], sprites["theta"][k] = homes[good[0] if len(good) else 0]
        if not len(good):
            sprites["opacity"][k] = 0

    def _at_home(self, template: int, homes: Floats) -> Sprites:
        """Sprites of a template at the smallest size at [K, 3] x, y and theta."""
        count = len(homes)
        return {
            "template": np.full(count, template, np.int32),
            "scale": np.full(count, self._smallest),
            "aspect": np.zeros(count),
            **{name: homes[:, i] for i, name in enumerate(("x", "y", "theta"))},
        }

    def _atlases(self, sprites: Mapping[str, NDArray[Any]]) -> dict[int, Atlas]:
        """The bitmaps as the finished pictures of these sprites show them, by the pictures' size."""
        parts = _tensors(sprites)
        half = torch.stack(half_sizes(parts["scale"], parts["aspect"], self._shapes[parts["template"]]))
        return {zoom: self._atlas_of(texels_for(2 * zoom * float(half.max()))) for zoom in (1, FINER)}

    def _spilling(self, sprites: Mapping[str, NDArray[Any]], atlases: Mapping[int, Atlas]) -> Bools:
        """[M]: which sprites draw outside, in pictures of the sizes in `atlases`."""
        near = self._near(sprites)
        if near.any():
            near[near] = self._spill(_some(sprites, near), atlases)[0] > SPILL
        return near

    def _push(self, sprites: Sprites, which: NDArray[np.int64], atlases: Mapping[int, Atlas]) -> NDArray[np.int64]:
        """Move and turn those of the sprites `which` that draw outside by one step of Newton's. Returns which they are.

        That is the shortest way on which, as far as the slopes tell, nothing outside is left.
        """
        if not len(which):
            return which
        drawn, slopes = self._spill(_some(sprites, which), atlases)
        bad = drawn > SPILL
        which, drawn = which[bad], drawn[bad]
        slopes = {name: slope[bad] for name, slope in slopes.items()}
        scale = sprites["scale"][which]
        # Angles in pixels at the sprite's end, so that a way has a length.
        slopes["theta"] = slopes["theta"] / scale if self._turn is None else np.zeros_like(scale)
        steepness = np.sqrt(sum(slope**2 for slope in slopes.values())) + 1e-12
        # Soft edges fade out, where Newton's steps get ever shorter.
        length = np.clip(1.2 * drawn / steepness, 0.5, np.maximum(0.5 * scale, 1.0))
        way = {name: -length * slope / steepness for name, slope in slopes.items()}
        way["theta"] = np.clip(way["theta"] / scale, -0.5, 0.5)
        for name in way:
            sprites[name][which] += way[name]
        return which

    def _near(self, sprites: Mapping[str, NDArray[Any]]) -> Bools:
        """[M]: which sprites' rectangles hold a pixel outside; the others need no closer look."""
        parts = _tensors(sprites)
        half = torch.stack(half_sizes(parts["scale"], parts["aspect"], self._shapes[parts["template"]]), dim=1).numpy()
        # Half a texel of the coarser level, at either size: see docs/forward-model.md.
        half += 1.0 + (sprites["scale"] / self._longer[sprites["template"]])[:, None]
        cos, sin = abs(np.cos(sprites["theta"])), abs(np.sin(sprites["theta"]))
        across, down = cos * half[:, 0] + sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]
        height, width = self.inside.shape
        left, right = (np.clip(sprites["x"] + sign * across, 0, width) for sign in (-1, 1))
        top, bottom = (np.clip(sprites["y"] + sign * down, 0, height) for sign in (-1, 1))
        left, top = np.floor(left).astype(int), np.floor(top).astype(int)
        right, bottom = np.ceil(right).astype(int), np.ceil(bottom).astype(int)
        c = self._counts
        near: Bools = c[bottom, right] - c[top, right] - c[bottom, left] + c[top, left] > 0
        return near

    def _spill(
        self, sprites: Mapping[str, NDArray[Any]], atlases: Mapping[int, Atlas]
    ) -> tuple[Floats, dict[str, Floats]]:
        """[M]: what each sprite draws outside, summed over pixels, and its slopes by x, y and theta."""
        parts = _tensors(sprites)
        leaves = {name: parts[name].requires_grad_() for name in ("x", "y", "theta")}
        opacity = torch.full_like(parts["x"], FAINT).requires_grad_()
        total = torch.zeros((), dtype=torch.float64)
        for zoom, atlas in atlases.items():
            outside = self._outside[zoom]
            x, y, scale = zoom * parts["x"], zoom * parts["y"], zoom * parts["scale"]
            affine = affine_maps(x, y, scale, parts["aspect"], parts["theta"], self._shapes[parts["template"]])
            image = composite(
                affine,
                opacity,
                torch.zeros(len(affine), 3, dtype=torch.float64),
                parts["template"],
                atlas,
                (outside.shape[0], outside.shape[1]),
                stop=0.0,
            )
            total = total + (image[..., 3].double() * outside).sum()
        slopes = torch.autograd.grad(total, [opacity, *leaves.values()])
        drawn, *by_place = (slope.numpy() for slope in slopes)
        return drawn, {name: slope / FAINT for name, slope in zip(leaves, by_place)}

    def _find_homes(self, allowed: NDArray[np.int64]) -> dict[int, Floats]:
        """For each template that fits in somewhere at the smallest size, [K, 3] x, y and theta where it does.

        Centres are tried at the pixels `allowed` [A], row * width + column.
        """
        width = self.inside.shape[1]
        room = box_mean(self.inside.astype(np.float64), int(self._smallest)) * self.inside
        each = max(64, CANDIDATES // len(self._group.templates))
        # Half of them where there is most room, half all over.
        roomiest = allowed[np.argsort(-room.ravel()[allowed], kind="stable")]
        spread = np.linspace(0, len(allowed) - 1, each // 2).astype(int)
        pixel = np.concatenate([roomiest[: each // 2], allowed[spread]])
        row, column = np.divmod(pixel, width)
        turn = 2 * np.pi / ANGLES if self._turn is None else self._turn
        turns = max(1, round(2 * np.pi / turn)) if turn else 1
        homes = {}
        for template in self._group.templates:
            places = np.stack([column + 0.5, row + 0.5, turn * (np.arange(len(pixel)) % turns)], axis=1)
            good = ~self._spilling(self._at_home(template, places), dict.fromkeys((1, FINER), self._atlas))
            if good.any():
                homes[template] = places[good]
        return homes


def _some(sprites: Mapping[str, NDArray[Any]], which: NDArray[Any]) -> Sprites:
    return {name: values[which] for name, values in sprites.items()}


def _copied(sprites: Mapping[str, NDArray[Any]]) -> Sprites:
    return {name: values.copy() for name, values in sprites.items()}


def _tensors(sprites: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Those numbers of sprites that say where they are drawn, as float64, and the templates."""
    parts = {n: torch.from_numpy(sprites[n].astype(np.float64)) for n in (*PLACE, "aspect")}
    return {"template": torch.from_numpy(sprites["template"].astype(np.int64)), **parts}
