# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of sprites: one type from the first sample of a fit to the layers of a PSD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.bridge.composition import COLUMNS, PER_FRAME

from .arrays import Float64Array, FloatArray, Int32Array, Int64Array
from .raster.geometry import affine_maps, half_sizes


@dataclass(frozen=True, eq=False)
class Sprites:
    """N sprites of one frame, index 0 at the bottom of the stack.

    Units are those of `smalti.bridge.composition`. All columns but `template` have one type: float64 while sprites are
    computed with, float32 once they are shown or kept. Methods return new sprites and share no memory with the old.

    Attributes:
        template: [N] index into the templates.
        x, y: [N] center, canvas pixels, x right, y down.
        scale: [N] half the length of the template's longer side, canvas pixels.
        aspect: [N] natural logarithm of extra width over height.
        theta: [N] rotation, radians, positive turns +x towards +y.
        opacity: [N] 0 to 1.
        tint: [N, 3] RGB in the blend space, 0 to 1.
    """

    template: Int32Array
    x: FloatArray
    y: FloatArray
    scale: FloatArray
    aspect: FloatArray
    theta: FloatArray
    opacity: FloatArray
    tint: FloatArray

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]]) -> Sprites:
        """Sprites with these columns; other keys are ignored. Raises KeyError where one is missing."""
        return cls(**{name: columns[name] for name in COLUMNS})

    @classmethod
    def joined(cls, parts: Sequence[Sprites]) -> Sprites:
        """Several sets, each above the one before."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.template)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, not copied."""
        return {name: getattr(self, name) for name in COLUMNS}

    def take(self, which: NDArray[Any] | slice) -> Sprites:
        """The sprites `which`, indices or a mask, in their order."""
        return Sprites(**{name: values[which].copy() for name, values in self.columns().items()})

    def put(self, which: NDArray[Any], others: Sprites) -> Sprites:
        """These sprites, with `others` [M] in the places `which` [M], of the same types as before."""
        result = self.copy()
        for name, values in result.columns().items():
            values[which] = getattr(others, name)
        return result

    def moved_to_top(self, which: Int64Array, others: Sprites) -> Sprites:
        """These sprites without `which` [M], and `others` [M] on top of them, of the same types as before."""
        return Sprites(
            **{
                name: np.concatenate([np.delete(values, which, axis=0), getattr(others, name).astype(values.dtype)])
                for name, values in self.columns().items()
            }
        )

    def copy(self) -> Sprites:
        """The same sprites in arrays of their own."""
        return Sprites(**{name: values.copy() for name, values in self.columns().items()})

    def double(self) -> Sprites:
        """In float64, in arrays of their own."""
        return self._as(np.float64)

    def single(self) -> Sprites:
        """In float32, in arrays of their own: what is shown and kept."""
        return self._as(np.float32)

    def _as(self, dtype: type[np.floating[Any]]) -> Sprites:
        return Sprites(self.template.copy(), **{name: getattr(self, name).astype(dtype) for name in PER_FRAME})

    def zoomed(self, factor: float) -> Sprites:
        """The same sprites on a canvas `factor` times larger a side."""
        return replace(self, x=factor * self.x, y=factor * self.y, scale=factor * self.scale)

    def half_sizes(self, shapes: Float64Array) -> Float64Array:
        """[N, 2] half the width and half the height of each sprite before rotation, canvas pixels.

        Args:
            shapes: [T, 2] width and height of each template.
        """
        scale, aspect = self._doubles("scale", "aspect")
        return np.stack(half_sizes(scale, aspect, shapes[self.template]), axis=1)

    def affine(self, shapes: Float64Array) -> Float64Array:
        """[N, 6] maps from canvas pixels to template coordinates (see `smalti.engine.raster.geometry`).

        Args:
            shapes: [T, 2] width and height of each template.
        """
        x, y, scale, aspect, theta = self._doubles("x", "y", "scale", "aspect", "theta")
        return affine_maps(x, y, scale, aspect, theta, shapes[self.template])

    def _doubles(self, *names: str) -> list[Float64Array]:
        return [getattr(self, name).astype(np.float64) for name in names]
