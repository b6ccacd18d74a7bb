# SPDX-License-Identifier: GPL-3.0-or-later
"""Atlases of templates: all of them whole where they fit into a budget, else each at the sizes in which it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from PIL import Image

from smalti.bridge.job import BlendSpace

from ..arrays import Float32Array, Int64Array, IntegerArray, UInt16Array
from ..colour import into_space
from ..files.images import premultiply
from ..raster import Atlas, build_atlas
from ..raster.atlas import (
    BYTES_PER_TEXEL,
    MARGIN,
    TEXEL_ONE,
    area_resample,
    mean_luma,
    pyramid,
    stored_texels,
    texels_for,
)
from ..raster.level_store import ABSENT, LevelStore, base_halvings, halvings_for, halvings_within
from ..sprites import Sprites
from ..templates import Template

BOX = Image.Resampling.BOX

BUDGET = 256_000_000
"""Bytes of an atlas up to which it holds all templates at the largest size that any sprite may have."""
BASE_SHARE = 0.65
"""Of the budget, what all templates take together at the size in which each of them is always held."""
SHARPEST_BASE = 512
"""Texels of the longer side, at most, at which all templates are held: more would be of use to few sprites."""
SMALLEST = 16.0
"""Texels of the longer side, at least, of a template in a picture."""


class TemplateBitmaps(Sequence[Float32Array]):
    """Templates as the rasterizer takes them, [h, w, 4] premultiplied, in a blend space.

    Each is made when it is read: all of them together may need more memory than everything else.
    """

    def __init__(self, templates: Sequence[Template], space: BlendSpace) -> None:
        self._templates = templates
        self._space: BlendSpace = space

    def __len__(self) -> int:
        return len(self._templates)

    @overload
    def __getitem__(self, index: int) -> Float32Array: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Float32Array]: ...

    def __getitem__(self, index: int | slice) -> Float32Array | Sequence[Float32Array]:
        if isinstance(index, slice):
            return TemplateBitmaps(self._templates[index], self._space)
        return into_space(premultiply(self._templates[index].rgba), self._space)

    @cached_property
    def shapes(self) -> Int64Array:
        """[T, 2] width and height of each template."""
        return np.array([(template.width, template.height) for template in self._templates], np.int64)

    def reduced(self, index: int, halvings: int) -> Float32Array:
        """A template with both sides halved some times, rounded up; to within 1/255 of its exact means."""
        if self._space == "srgb":
            width, height = self._sides(index, halvings)
            return np.asarray(self._in_bytes(index).resize((width, height), BOX), np.float32) * np.float32(1 / 255)
        return self._reduced_exactly(index, halvings)

    def pyramid(self, index: int, halvings: int) -> Iterator[UInt16Array]:
        """The levels of `reduced`, as `smalti.engine.raster.atlas.pyramid` returns them; to within 1/255 too."""
        if self._space != "srgb":  # in linear light, bytes do not suffice
            yield from pyramid(self._reduced_exactly(index, halvings))
            return
        level = self._in_bytes(index)
        while True:
            level = level.resize(self._sides(index, halvings), BOX)
            padded = np.zeros((level.height + 2 * MARGIN, level.width + 2 * MARGIN, 4), np.uint16)
            np.multiply(np.asarray(level), np.uint16(TEXEL_ONE // 255), out=padded[MARGIN:-MARGIN, MARGIN:-MARGIN])
            yield padded
            if level.size == (1, 1):
                return
            halvings += 1

    def _sides(self, index: int, halvings: int) -> tuple[int, int]:
        """Width and height of a template after some halvings."""
        width, height = self.shapes[index].tolist()
        return -(-width >> halvings), -(-height >> halvings)

    def _in_bytes(self, index: int) -> Image.Image:
        """A template as it is, premultiplied: at a tenth of the time of exact numbers."""
        return Image.fromarray(self._templates[index].rgba).convert("RGBa")

    def _reduced_exactly(self, index: int, halvings: int) -> Float32Array:
        width, height = self._sides(index, halvings)
        return area_resample(area_resample(self[index], height, 0), width, 1).astype(np.float32)


class AtlasCache:
    """The atlases of templates in a blend space: built when they are needed.

    Args:
        most: how many whole ones are kept, those that were used last.
    """

    def __init__(self, templates: Sequence[Template], space: BlendSpace, most: int = 1) -> None:
        self.templates = templates
        self.space = space
        self.bitmaps = TemplateBitmaps(templates, space)
        self._most = most
        self._kept: dict[int, Atlas] = {}
        self._pictures: LevelStore | None = None

    def holds_all(self, largest: int) -> bool:
        """Whether all templates up to `largest` texels on the longer side fit into the budget."""
        texels = int(stored_texels(self.bitmaps.shapes, largest).sum())
        return len(self.templates) == 1 or texels * BYTES_PER_TEXEL <= BUDGET

    def up_to(self, largest: int) -> Atlas:
        """The templates' pyramids up to `largest` texels on the longer side."""
        found = self._kept.pop(largest, None)
        if found is None:
            while len(self._kept) >= self._most:  # before another one is built: memory may not suffice for both
                del self._kept[next(iter(self._kept))]
            found = build_atlas(self.bitmaps, largest)
        self._kept[largest] = found
        return found

    def showing(self, sprites: Sprites, others: IntegerArray | None = None) -> Atlas:
        """An atlas with all that these sprites can show of their templates, and `others`, indices, at a modest size.

        Where the budget does not suffice for all templates, only those of the sprites are in it.
        """
        lengths = 2 * sprites.half_sizes(self.bitmaps.shapes.astype(np.float64)).max(axis=1)
        largest = texels_for(float(lengths.max()))
        if self.holds_all(largest):
            return self.up_to(largest)
        shapes = self.bitmaps.shapes
        used = np.isin(np.arange(len(shapes)), sprites.template)
        if others is not None:
            used[others] = True
        most = halvings_within(shapes, SMALLEST)
        if others is not None:
            most[others] = np.minimum(most, self.base)[others]
        halvings = halvings_for(sprites.template, lengths, shapes, most)
        if self._pictures is None:
            self._pictures = LevelStore(self.bitmaps.pyramid, shapes, self.base)
        return self._pictures.atlas(np.where(used, halvings, ABSENT))

    @cached_property
    def base(self) -> Int64Array:
        """[T]: how often each template is halved so that all fit into their share of the budget."""
        texels = int(BASE_SHARE * BUDGET / BYTES_PER_TEXEL)
        return base_halvings(self.bitmaps.shapes, texels, SHARPEST_BASE)

    def store_of_all(self) -> LevelStore:
        """A new store of levels for one user, of which `base` says what all templates can be held at."""
        return LevelStore(self.bitmaps.pyramid, self.bitmaps.shapes, self.base, one_user=True)

    @cached_property
    def luma(self) -> list[float]:
        """The mean luma of each template (see `smalti.engine.raster.Atlas`)."""
        kept = next((atlas.luma.tolist() for atlas in self._kept.values()), None)
        return [mean_luma(bitmap) for bitmap in self.bitmaps] if kept is None else kept
