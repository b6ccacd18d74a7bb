# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each sprite is to be seen, and what is done about sprites that the others hide.

The share of a sprite that is seen is what of it reaches the eye, over what it would show alone at full opacity: the sum
over pixels of its alpha times the transmittance above it, over its area times the mean alpha of its bitmap. The sums of
all sprites are one slope of the renderer's: a picture's red is linear in the red of each tint, with those factors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...raster import Atlas, composite
from ...raster.atlas import texels_for
from ...raster.geometry import affine_maps, half_sizes
from ..initialise import Placer, Sprites, box_mean, joined

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Move = tuple[Integers, Sprites]

MARGIN = 1.03
"""Factor on what is asked, so that a picture of another size shows as much."""
WANTED = 1.25
"""Factor on what is asked, up to which sprites are pushed into view, and by which their opacity is bounded below."""
WEIGHT = 0.1
"""Of a hidden sprite's area against the squared error of as many pixels."""
SMALL = 0.1
"""Quantile of the sprites' sizes that a moved one gets at first."""
HARM = 0.5
"""How much of what sprites can spare, where it is moved to, a moved one may hide."""
REFUSALS = 12
"""Moves in a row that do not make hidden sprites fewer, after which others shrink."""
SHRINKS, SHRINK = 40, 0.9
"""How often sprites over hidden ones shrink, at most, and by what factor."""
OVER = 0.5
"""Pixels by which hidden sprites are seen more, per unit of the log of a size, above which a sprite is over them."""


class Visibility:
    """Measures and mends.

    Args:
        least: share of each sprite that must be seen, 0 to 1.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        coverage: [T] mean alpha of each template.
        size: height and width of the canvas.
        smallest: [T] half the longer side of the smallest sprite of each template, canvas pixels.
        lock_scale: moved sprites keep their size.
        alpha_max: highest opacity.
    """

    def __init__(
        self,
        least: float,
        atlas_of: Callable[[int], Atlas],
        shapes: Floats,
        coverage: Floats,
        size: tuple[int, int],
        smallest: Floats,
        lock_scale: bool,
        alpha_max: float,
    ) -> None:
        self.least = least
        self.faintest = min(WANTED * least, 0.999 * alpha_max)
        self._atlas_of, self._shapes, self._coverage = atlas_of, shapes, torch.from_numpy(coverage)
        self._size = size
        self._smallest = smallest
        self._lock_scale, self._alpha_max = lock_scale, alpha_max

    def shares(self, sprites: Mapping[str, NDArray[Any]]) -> Floats:
        """[N]: how much of each sprite, as in `smalti.bridge.composition`, is seen in the finished picture."""
        seen, whole = self._seen(sprites)
        return seen / whole

    def push(self, affine: Tensor, opacity: Tensor, template: Tensor, atlas: Atlas, size: tuple[int, int]) -> Tensor:
        """A penalty on hidden sprites, whose slopes pull them into view and those above them away and apart."""
        seen = _amounts(affine.detach(), opacity.detach(), template, atlas, size)
        whole = self._whole(affine, template)
        lack = (WANTED * self.least - seen / whole.detach()).clamp(min=0)
        pull = 2 * WEIGHT * lack / (size[0] * size[1])
        image = composite(affine, opacity, _reds(pull), template, atlas, size)
        return (pull * (seen / whole.detach()) * whole).sum() - image[..., 0].double().sum()

    def lifted(
        self, sprites: Sprites, error: Floats, count: int, placers: Sequence[Placer], rng: np.random.Generator
    ) -> Move:
        """The most hidden sprites, at most `count`, and others in their stead where the error is [H, W]."""
        shares = self.shares(sprites)
        which = np.argsort(shares, kind="stable")[:count]
        which = np.sort(which[shares[which] < MARGIN * self.least])
        return which, self._placed(sprites, which, error**2, float(np.quantile(sprites["scale"], SMALL)), placers, rng)

    def mended(
        self,
        sprites: Sprites,
        error: Floats,
        placers: Sequence[Placer],
        rng: np.random.Generator,
        admitted: Callable[[Sprites], Sprites],
    ) -> Sprites:
        """All sprites, so changed that none is hidden, if that can be.

        Hidden ones are moved to where they cover least of what others cannot spare, onto the top of the stack, as long
        as each move leaves fewer hidden than there were. Where `REFUSALS` tries in a row have failed, what lies over
        hidden sprites is made smaller, and the moves go on. Both come to an end: there are at most as many moves as
        sprites between two times that sprites shrink, and at most `SHRINKS` of those.

        Args:
            sprites: all of them.
            error: [H, W], where sprites are of use.
            placers, rng: what makes the sprites of each group.
            admitted: brings all sprites, moved ones last, within the other limits.
        """
        hidden = self._hidden(sprites)
        for _ in range(SHRINKS + 1):
            sprites, hidden = self._moved(sprites, hidden, error, placers, rng, admitted)
            smaller = self._uncovered(sprites, hidden) if len(hidden) and not self._lock_scale else None
            if smaller is None:
                break
            sprites = admitted(smaller)
            hidden = self._hidden(sprites)
        return sprites

    def _hidden(self, sprites: Mapping[str, NDArray[Any]]) -> Integers:
        return np.flatnonzero(self.shares(sprites) < MARGIN * self.least)

    def _moved(
        self,
        sprites: Sprites,
        hidden: Integers,
        error: Floats,
        placers: Sequence[Placer],
        rng: np.random.Generator,
        admitted: Callable[[Sprites], Sprites],
    ) -> tuple[Sprites, Integers]:
        """The sprites after moves that leave fewer hidden, and which still are (see `mended`)."""
        radius, share, refused = float(np.quantile(sprites["scale"], SMALL)), 1.0, 0
        while len(hidden) and refused < REFUSALS:
            which = hidden[: max(1, int(share * len(hidden)))]
            spare = self._spare(sprites, which, error, radius)
            tried = admitted(_replaced(sprites, which, self._placed(sprites, which, spare, radius, placers, rng)))
            left = self._hidden(tried)
            if len(left) < len(hidden):
                sprites, hidden, refused = tried, left, 0
            else:
                radius, share, refused = max(0.8 * radius, self._smallest.min()), 0.6 * share, refused + 1
        return sprites, hidden

    def _uncovered(self, sprites: Sprites, hidden: Integers) -> Sprites | None:
        """The sprites, those smaller that would show more of the hidden ones by it; None where none can shrink."""
        affine, opacity, template, atlas = self._drawn(sprites)
        log_scale = torch.zeros(len(affine), dtype=torch.float64, requires_grad=True)
        parts = {n: torch.from_numpy(sprites[n].astype(np.float64)) for n in ("x", "y", "scale", "aspect", "theta")}
        scale = parts["scale"] * log_scale.exp()
        shape = torch.from_numpy(self._shapes)[template]
        affine = affine_maps(parts["x"], parts["y"], scale, parts["aspect"], parts["theta"], shape)
        wanted = torch.zeros(len(affine), dtype=torch.float64)
        wanted[torch.from_numpy(hidden)] = 1
        image = composite(affine, opacity, _reds(wanted), template, atlas, self._size)
        (slope,) = torch.autograd.grad(image[..., 0].sum(), log_scale)
        smallest = self._smallest[sprites["template"]].astype(sprites["scale"].dtype)
        over = (slope.numpy() < -OVER) & (sprites["scale"] > 1.001 * smallest)
        if not over.any():
            return None
        smaller = np.where(over, np.maximum(SHRINK * sprites["scale"], smallest), sprites["scale"])
        return {**sprites, "scale": smaller.astype(sprites["scale"].dtype)}

    def _seen(self, sprites: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
        """[N], [N]: what is seen of each sprite and what it shows alone, canvas pixels."""
        affine, opacity, template, atlas = self._drawn(sprites)
        seen = _amounts(affine, opacity, template, atlas, self._size)
        return seen.numpy(), self._whole(affine, template).numpy()

    def _drawn(self, sprites: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor, Tensor, Atlas]:
        return drawn_as_finished(sprites, self._atlas_of, self._shapes)

    def _whole(self, affine: Tensor, template: Tensor) -> Tensor:
        """[N]: what sprites show alone at full opacity, in pixels that are drawn."""
        determinant = (affine[:, 0] * affine[:, 4] - affine[:, 1] * affine[:, 3]).abs()
        return 4 * self._coverage[template.long()] / determinant

    def _spare(self, sprites: Sprites, moving: Integers, error: Floats, radius: float) -> Floats:
        """[H, W]: the error where a disc of this radius hides little of what sprites can spare, else 0.

        Where no place is like that, it is the better the less is hidden.
        """
        affine, opacity, template, atlas = self._drawn(sprites)
        seen, whole = self._seen(sprites)
        spare = np.maximum(seen - MARGIN * self.least * whole, 0.01 * whole)
        # Sprites that are hidden anyway, or taken away, have nothing to lose.
        need = np.where(seen < MARGIN * self.least * whole, 0, 1 / spare)
        need[moving] = 0
        highest = max(float(need.max()), 1e-12)
        with torch.no_grad():
            image = composite(affine, opacity, _reds(torch.from_numpy(need / highest)), template, atlas, self._size)
        window = int(np.ceil(radius))
        harm = box_mean(image[..., 0].double().numpy() * highest, window) * (2 * window + 1) ** 2
        good = (error + 1e-6) * (harm < HARM)
        return good if good.any() else (error + 1e-6) / (harm + 1e-6) ** 4

    def _placed(
        self,
        sprites: Sprites,
        which: Integers,
        density: Floats,
        radius: float,
        placers: Sequence[Placer],
        rng: np.random.Generator,
    ) -> Sprites:
        """Sprites for the stead of `which`, where the density [H, W] is, opaque and whole on the canvas."""
        places = [placer.group.members(sprites["template"][which]) for placer in placers]
        fresh = joined([self._placed_of(p, density, radius, len(own), rng) for p, own in zip(placers, places)])
        back = np.argsort(np.concatenate(places))
        fresh = {name: values[back] for name, values in fresh.items()}
        if self._lock_scale:
            fresh["scale"] = sprites["scale"][which].astype(np.float64)
        return fresh

    def _placed_of(
        self, placer: Placer, density: Floats, radius: float, count: int, rng: np.random.Generator
    ) -> Sprites:
        """`_placed` for so many sprites of one group."""
        edge = min(int(np.ceil(radius)), (min(self._size) - 1) // 2)
        inner = np.zeros(self._size)
        inner[edge : self._size[0] - edge, edge : self._size[1] - edge] = 1
        allowed = inner * (placer.target[..., 3] > 0)
        drawn = density * allowed
        row, column = placer.draw(drawn if placer.group.within(drawn).any() else allowed + 1e-9, count, rng)
        fresh = placer.at(row, column, np.full(count, radius), rng)
        fresh["opacity"] = np.full(count, 0.999 * self._alpha_max)
        return fresh


def drawn_as_finished(
    sprites: Mapping[str, NDArray[Any]], atlas_of: Callable[[int], Atlas], shapes: Floats
) -> tuple[Tensor, Tensor, Tensor, Atlas]:
    """Maps, opacities, templates and atlas with which the finished picture of these sprites is drawn."""
    x, y, scale, aspect, theta, opacity = (
        torch.from_numpy(sprites[name].astype(np.float64)) for name in ("x", "y", "scale", "aspect", "theta", "opacity")
    )
    template = torch.from_numpy(sprites["template"].astype(np.int64))
    shape = torch.from_numpy(shapes)[template]
    longest = 2 * float(torch.stack(half_sizes(scale, aspect, shape)).max())
    return affine_maps(x, y, scale, aspect, theta, shape), opacity, template, atlas_of(texels_for(longest))


def _amounts(affine: Tensor, opacity: Tensor, template: Tensor, atlas: Atlas, size: tuple[int, int]) -> Tensor:
    """[N]: the sum over pixels of each sprite's alpha times the transmittance above it."""
    tint = torch.zeros(len(affine), 3, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        image = composite(affine, opacity, tint, template, atlas, size)
        (slope,) = torch.autograd.grad(image[..., 0].sum(), tint)
    return slope[:, 0]


def _reds(values: Tensor) -> Tensor:
    return torch.stack([values, torch.zeros_like(values), torch.zeros_like(values)], dim=1)


def _replaced(sprites: Sprites, which: Integers, fresh: Sprites) -> Sprites:
    """What `smalti.engine.fitting.optimiser.Optimiser.replace` does, to sprites."""
    return {
        name: np.concatenate([np.delete(a, which, axis=0), fresh[name].astype(a.dtype)]) for name, a in sprites.items()
    }
