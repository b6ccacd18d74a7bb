# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist rules out: colours off a palette, angles between steps, places off a region.

Most limits are free at first, when sprites find their places, and hold from some step on, so that whatever is not
limited makes up for them. What already holds is to be seen from the parameters themselves: nothing of it needs a place
in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...raster import Atlas
from ..groups import Group
from ..initialise import Placer, Sprites, box_mean
from ..optimiser import Optimiser, Settings
from ..strategy.importance import squared_error, tint_response
from . import overdraw as overlap
from .palette import Palette
from .region import PLACE, Region
from .visibility import Visibility, drawn_as_finished

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

TURN_FROM, FEW = 0.5, 16
"""Share of the steps after which angles are steps of a turn, and number of steps below which they are so at once.

Where angles are few, sprites that find their places with angles of their own lose them when these are taken away.
"""
PAINT_FROM, PAINT_UNTIL = 0.2, 0.9
"""Shares of the steps after which sprites have a colour of the palette, and after which they keep it."""
PAINT_EVERY = 8
"""Steps from one change of colours to the next."""
LIFT_FROM, LIFT_EVERY, LIFT_SHARE = 0.1, 12, 0.05
"""Share of the steps after which the most hidden sprites are moved, steps from one time to the next, and how many."""
REST_FROM = 0.9
"""Share of the steps after which only tints change where sprites must be seen."""
COVER_UNTIL = 0.5
"""Share of the steps up to which bitmaps are exchanged where sprites must be seen, or layers be few or even.

An exchange is judged by the error alone. The girl of 500 flowers, a fifth of each seen: 30.6 dB up to 0 or 0.5, 30.3 up
to 0.9.
"""
PROBES = 4
"""Random pictures that a change of colours is weighed with."""


@dataclass(frozen=True, eq=False)
class Limits:
    """What is asked; see `smalti.bridge.job.JobSpec`.

    Attributes:
        palette: [P, 3] float32, in the blend space; None for any colour.
        rotation_steps: number of angles that a full turn has; None for any.
        inside: function of the frame's index: [2 H, 2 W], see `.region.Region`; None for anywhere.
        min_visibility: share of each sprite that is seen, see `.visibility`; None for any.
        max_overlap: mean number of layers over a point of the target; None for any.
        even_coverage: weight of an even number of layers, 0 to 1; None for 0.
    """

    palette: NDArray[np.float32] | None = None
    rotation_steps: int | None = None
    inside: Callable[[int], Bools] | None = None
    min_visibility: float | None = None
    max_overlap: float | None = None
    even_coverage: float | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return any(getattr(self, field.name) is not field.default for field in fields(self))


class Keeper:
    """Keeps the limits in one frame, and every sprite with its group.

    Args:
        limits: what is asked.
        groups: of the sprites.
        frame: index of the frame. After the first, colours and angles hold from the first step on.
        settings: those of the frame's optimiser.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        coverage: [T] mean alpha of each template.
        size: height and width of the canvas.

    Raises:
        SmaltiError: see `Region`.
    """

    def __init__(
        self,
        limits: Limits,
        groups: Sequence[Group],
        frame: int,
        settings: Settings,
        atlas_of: Callable[[int], Atlas],
        shapes: Floats,
        coverage: Floats,
        size: tuple[int, int],
    ) -> None:
        self._limits, self._groups, self._settings = limits, groups, settings
        self._atlas_of, self._shapes = atlas_of, shapes
        self._overlaps = limits.max_overlap is not None or limits.even_coverage is not None
        self._grouped = groups[0].mask is not None
        self._later = frame > 0
        self._palette = None if limits.palette is None else Palette(limits.palette, settings.blend_space)
        self._turn = None if limits.rotation_steps is None else 2 * np.pi / limits.rotation_steps
        self._visibility = None
        if limits.min_visibility is not None:
            smallest = np.concatenate([np.full(len(g.templates), 0.5 * g.size_range[0]) for g in groups])
            self._visibility = Visibility(
                limits.min_visibility,
                atlas_of,
                shapes,
                coverage,
                size,
                smallest,
                settings.lock_scale,
                settings.alpha_max,
            )
        common = None if limits.inside is None else limits.inside(frame)
        self._regions: list[tuple[Group, Region]] = []
        for group in groups:
            parts = [inside for inside in (common, group.inside) if inside is not None]
            if parts:
                turn = 0.0 if settings.lock_rotation else self._turn
                named = replace(group, name=f"{group.name} in frame {frame + 1}") if frame else group
                region = Region(np.logical_and.reduce(parts), named, atlas_of, shapes, turn)
                self._regions.append((group, region))

    def masked(self, target: NDArray[np.float32]) -> NDArray[np.float32]:
        """The target [H, W, 4] without what no sprite may show."""
        if len(self._regions) < len(self._groups):
            return target
        inside: Bools = np.logical_or.reduce([region.inside for _, region in self._regions])
        return target * inside[..., None]

    def admitted(self, sprites: Mapping[str, NDArray[Any]]) -> Sprites:
        """Sprites as they may start: inside, and upright if all must be."""
        result = {name: values.copy() for name, values in sprites.items()}
        if self._turn is not None and self._turns(0.0):
            result["theta"] = self._snapped(result["theta"].astype(np.float64))
        return self._settled(result) if self._regions else result

    def finished(self, sprites: Mapping[str, NDArray[Any]]) -> Sprites:
        """Sprites of any step as they may be shown, float32: within every limit, whatever the fit has come to."""
        result = {name: values.copy() for name, values in sprites.items()}
        if self._palette is not None:
            result["tint"] = self._palette.nearest(result["tint"])
        if self._turn is not None:
            result["theta"] = self._snapped(result["theta"].astype(np.float64)).astype(np.float32)
        if self._regions:
            settled = self._settled(result, keep_template=True)
            result = {name: a if name == "template" else a.astype(np.float32) for name, a in settled.items()}
        return result

    def shown(self, optimiser: Optimiser, placers: Sequence[Placer], rng: np.random.Generator) -> Sprites:
        """The sprites now as they may be shown, float32; after the last step of a first frame none is hidden."""
        sprites = self.finished(optimiser.sprites())
        if self._visibility is None or self._later or not optimiser.finished:
            return sprites
        return self._visibility.mended(sprites, _error(optimiser), placers, rng, self.finished)

    def mend(self, optimiser: Optimiser, placers: Sequence[Placer], rng: np.random.Generator, moved: int) -> None:
        """What is due before a step of a first frame: `moved` sprites were put elsewhere, others are hidden."""
        if moved:
            self.settle(optimiser)
        if self._visibility is None:
            return
        done, steps = optimiser.done, self._settings.steps
        if done == self._last_move():
            sprites = self.finished(optimiser.sprites())
            mended = self._visibility.mended(sprites, _error(optimiser), placers, rng, self.finished)
            everyone = np.arange(len(mended["x"]))
            optimiser.replace(everyone, mended)
            optimiser.put_back(everyone, mended)  # also where sizes are locked, which have moved within the stack
        elif done < self._last_move() and done >= LIFT_FROM * steps and done % LIFT_EVERY == 0:
            count = max(1, int(LIFT_SHARE * len(optimiser.values()["x"])))
            which, fresh = self._visibility.lifted(optimiser.sprites(), _error(optimiser), count, placers, rng)
            if len(which):
                optimiser.replace(which, fresh)
                self.settle(optimiser)

    def reached(self, sprites: Mapping[str, NDArray[Any]], target: NDArray[np.float32]) -> dict[str, float]:
        """What the limits that are no guarantee have come to.

        Args:
            sprites: one frame, float32.
            target: [H, W, 4].

        Returns:
            ``least_visible`` and ``hidden`` (how many sprites are seen less than is asked) where that is limited, and
            ``layers`` (their mean number over a point of the target) and ``layers_spread`` (relative) where those are.
        """
        found: dict[str, float] = {}
        if self._visibility is not None:
            shares = self._visibility.shares(sprites)
            found["least_visible"] = float(shares.min())
            found["hidden"] = int((shares < self._visibility.least).sum())
        if self._overlaps:
            drawn = drawn_as_finished(sprites, self._atlas_of, self._shapes)
            with torch.no_grad():
                counted = overlap.layers(*drawn, (target.shape[0], target.shape[1]))
                cover = torch.from_numpy(self.masked(target)[..., 3])
                mean, spread = overlap.mean_and_spread(counted, cover)
            found |= {"layers": float(mean), "layers_spread": float(spread)}
        return found

    def _penalty(self, affine: Tensor, opacity: Tensor, template: Tensor, atlas: Atlas, cover: Tensor) -> Tensor:
        """See `smalti.engine.fitting.optimiser.Penalty`."""
        size = (cover.shape[0], cover.shape[1])
        total = torch.zeros((), dtype=torch.float64)
        if self._visibility is not None:
            total = total + self._visibility.push(affine, opacity, template, atlas, size)
        if self._overlaps:
            counted = overlap.layers(affine, opacity, template, atlas, size)
            total = total + overlap.penalty(counted, cover, self._limits.max_overlap, self._limits.even_coverage or 0.0)
        return total

    def _last_move(self) -> int:
        """The step before which hidden sprites are moved for good; from then on only tints change."""
        return int(np.ceil(REST_FROM * self._settings.steps))

    def settle(self, optimiser: Optimiser) -> None:
        """Bring sprites inside that were put elsewhere."""
        if not self._regions:
            return
        sprites = _as_float64(optimiser.sprites())
        settled = self._settled(sprites)
        other = np.flatnonzero(settled["template"] != sprites["template"])
        moved = np.flatnonzero(
            np.any([settled[name] != sprites[name] for name in PLACE], axis=0)
            & (settled["template"] == sprites["template"])
        )
        optimiser.put_back(moved, {name: values[moved] for name, values in settled.items()})
        if len(other):
            optimiser.replace(other, {name: values[other] for name, values in settled.items()})

    def step(self, optimiser: Optimiser) -> SupportsFloat:
        """`Optimiser.step` within the limits."""
        progress = optimiser.done / max(self._settings.steps, 1)
        turns = self._turns(progress)
        if turns:
            self._turn_all(optimiser)
        before = optimiser.values()
        paints = self._paints(progress)
        if paints:
            self._paint(optimiser, before, progress)
        optimiser.adjust(before)
        optimiser.penalty = self._penalty if self._visibility is not None or self._overlaps else None
        loss = optimiser.step()
        after = optimiser.values()
        if self._visibility is not None:
            if not self._later and optimiser.done > self._last_move():
                after = {**before, "tint": after["tint"]}
            faintest = self._visibility.faintest / self._settings.alpha_max
            after["opacity"] = np.maximum(after["opacity"], np.log(faintest / (1 - faintest)))
        if turns:
            after["theta"] = before["theta"]
        if paints:
            after["tint"] = before["tint"]
        if self._regions or self._grouped:
            _put(after, self._with_groups(_placed(optimiser, after), _placed(optimiser, before)))
        optimiser.adjust(after)
        return loss

    def _with_groups(self, after: Sprites, before: Sprites) -> Sprites:
        """Where sprites are drawn after a step (see `_placed`), as their groups allow it after where they were."""
        result = {name: values.copy() for name, values in after.items()}
        if self._grouped:
            for group in self._groups:
                own = group.members(result["template"])
                _replace(result, own, _held(group, _some(result, own), _some(before, own), self._settings.lock_scale))
        for group, region in self._regions:
            own = group.members(result["template"])
            then = _some(before, own)
            inside = region.keep(_some(result, own), then)
            # What brings a sprite back inside may move its centre off.
            lost = group.holds(then["x"], then["y"]) & ~group.holds(inside["x"], inside["y"])
            for name in PLACE:
                inside[name][lost] = then[name][lost]
            _replace(result, own, inside)
        return result

    def _paint(self, optimiser: Optimiser, values: dict[str, Floats], progress: float) -> None:
        """Give all sprites among the parameters a colour of the palette, now and then a better one."""
        assert self._palette is not None
        values["tint"] = self._palette.snapped(values["tint"])
        if not self._later and progress < PAINT_UNTIL and optimiser.done % PAINT_EVERY == 0:
            optimiser.adjust(values)
            response = tint_response(optimiser, PROBES, optimiser.done)
            values["tint"] = self._palette.better(values["tint"], *response)

    def _settled(self, sprites: Mapping[str, NDArray[Any]], keep_template: bool = False) -> Sprites:
        """Sprites from anywhere, inside. One that must keep its bitmap, as in a film, and has no room is not shown."""
        result = {name: values.copy() for name, values in _as_float64(sprites).items()}
        for group, region in self._regions:
            own = group.members(sprites["template"])
            _replace(result, own, region.settle(_some(result, own)))
        if keep_template or self._later:
            result["opacity"][result["template"] != sprites["template"]] = 0
            result["template"] = sprites["template"].copy()
        return result

    def leaves_free(self, done: int) -> bool:
        """Whether, after so many steps, sprites may still have any tint and any angle, and cover what they like."""
        progress = done / max(self._settings.steps, 1)
        covers = progress < COVER_UNTIL or (self._visibility is None and not self._overlaps)
        return covers and not self._turns(progress) and not self._paints(progress)

    def _paints(self, progress: float) -> bool:
        """Whether all tints are colours of the palette after this share of the steps."""
        return self._palette is not None and (self._later or progress >= PAINT_FROM)

    def _turns(self, progress: float) -> bool:
        """Whether angles are multiples of the turn after this share of the steps."""
        if self._limits.rotation_steps is None:
            return False
        return self._later or self._limits.rotation_steps < FEW or progress >= TURN_FROM

    def _snapped(self, theta: Floats) -> Floats:
        """The nearest multiples of the turn, radians."""
        assert self._turn is not None
        return np.rint(theta / self._turn) * self._turn

    def _turn_all(self, optimiser: Optimiser) -> None:
        """Snap all angles; sprites that this moves outside come back inside."""
        before = optimiser.values()["theta"]
        theta = self._snapped(before)
        if (theta != before).any():
            optimiser.adjust({"theta": theta})
            self.settle(optimiser)
            # On their way through single precision the angles of those that were moved have lost digits.
            optimiser.adjust({"theta": self._snapped(optimiser.values()["theta"])})


def _error(optimiser: Optimiser) -> Floats:
    """[H, W]: the squared error about each pixel."""
    return box_mean(squared_error(optimiser).astype(np.float64), 2)


def _as_float64(sprites: Mapping[str, NDArray[Any]]) -> Sprites:
    return {name: a if name == "template" else a.astype(np.float64) for name, a in sprites.items()}


def _some(sprites: Mapping[str, NDArray[Any]], which: NDArray[np.int64]) -> Sprites:
    return {name: values[which] for name, values in sprites.items()}


def _replace(sprites: Sprites, which: NDArray[np.int64], others: Mapping[str, NDArray[Any]]) -> None:
    for name, values in others.items():
        sprites[name][which] = values


def _held(group: Group, after: Sprites, before: Sprites, lock_scale: bool) -> Sprites:
    """Sprites of one group after a step, no larger and no smaller than they may be, their centres not led astray.

    A centre that would leave goes as far as one of its coordinates allows: so it moves along the edge.
    """
    result = dict(after)
    if not lock_scale:
        result["scale"] = np.clip(after["scale"], 0.5 * group.size_range[0], 0.5 * group.size_range[1])
    was_held = group.holds(before["x"], before["y"])
    for back in (("y",), ("x",), ("x", "y")):
        lost = was_held & ~group.holds(result["x"], result["y"])
        for name in ("x", "y"):
            result[name] = np.where(lost, (before if name in back else after)[name], result[name])
    return result


def _placed(optimiser: Optimiser, values: Mapping[str, Floats]) -> Sprites:
    """What says where sprites are drawn, in the units of `smalti.bridge.composition`, float64."""
    shown = optimiser.sprites()
    return {
        "template": shown["template"],
        "aspect": shown["aspect"].astype(np.float64),
        "scale": np.exp(values["log_scale"]),
        **{name: values[name] for name in ("x", "y", "theta")},
    }


def _put(values: dict[str, Floats], placed: Mapping[str, NDArray[Any]]) -> None:
    """The inverse of `_placed`. Sprites that are where they were keep their numbers to the last bit."""
    moved = placed["scale"] != np.exp(values["log_scale"])
    values["log_scale"][moved] = np.log(placed["scale"][moved])
    values |= {name: placed[name] for name in ("x", "y", "theta")}
