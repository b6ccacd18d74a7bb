# SPDX-License-Identifier: GPL-3.0-or-later
"""Sprites that begin at given places, and may be held near them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..arrays import AnyArray, Float64Array, Int32Array
from ..sprites import Sprites
from .initialise import SpriteSampler


@dataclass(frozen=True, eq=False)
class Placement:
    """N sprites, bottom of the stack first, in canvas pixels and radians.

    Attributes:
        template: [N] their templates; -1 for one that is to be chosen.
        x, y, scale, theta: [N] see `smalti.engine.sprites.Sprites`.
        reach: [N, 2] how far each may move to a side, and up or down, at most; None for anywhere. Where it is given,
            sprites keep their templates and their order.
        size: [N, 2] width and height of tiles, without the margins of their templates. Where it is given, sprites
            keep all but their tints.
    """

    template: Int32Array
    x: Float64Array
    y: Float64Array
    scale: Float64Array
    theta: Float64Array
    reach: Float64Array | None = None
    size: Float64Array | None = None

    def __len__(self) -> int:
        return len(self.template)

    @property
    def keeps_order(self) -> bool:
        """Whether sprites keep their templates and their order in the stack."""
        return self.reach is not None or self.size is not None

    @classmethod
    def of(cls, state: Mapping[str, AnyArray]) -> Placement | None:
        """What `state` returned; None where there was none. Raises KeyError or ValueError where it is damaged."""
        if "placement.x" not in state:
            return None
        columns: dict[str, Any] = {f.name: state.get(f"placement.{f.name}") for f in fields(cls)}
        number = len(state["placement.x"])
        for name, column in columns.items():
            if name not in ("reach", "size") and (column is None or column.shape != (number,)):
                raise ValueError(f"placement.{name}")
        return cls(**columns)

    def state(self) -> dict[str, AnyArray]:
        """Everything that `of` needs."""
        return {f"placement.{f.name}": value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def sprites(self, sampler: SpriteSampler, rng: np.random.Generator) -> Sprites:
        """The sprites, with the tints that a sampler gives to these places, float64."""
        height, width = sampler.target.shape[:2]
        row, column = (
            np.clip(at.astype(np.int64), 0, length - 1) for at, length in ((self.y, height), (self.x, width))
        )
        scale = sampler.allowed(self.scale)
        chosen = sampler.choose(row, column, scale, rng)
        template = np.where(self.template < 0, chosen, self.template + sampler.group.templates.start)
        made = sampler.at(row, column, scale, rng, template)
        theta = np.zeros(len(self)) if sampler.upright else self.theta.copy()
        return replace(made, x=self.x.copy(), y=self.y.copy(), scale=scale, theta=theta)
