# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of a fit: all of them whole, or, where they are too many, each at the size in which sprites show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Float64Array, Int64Array, IntegerArray
from ..composition.atlases import AtlasCache
from ..raster import Atlas
from ..raster.level_store import halvings_for, halvings_within
from ..sprites import Sprites
from .initialise import TemplateShape, measure_template
from .initialise.signatures import Signatures


@dataclass(frozen=True)
class LevelSettings:
    """When larger levels of templates are brought.

    Attributes:
        interval: steps after which it is looked what sprites need. Until then one that has grown is drawn blurred.
        measured: texels of the longer side of a reduced bitmap that is measured.
    """

    interval: int = 10
    measured: int = 48


class TemplateLevels:
    """Which levels of the templates a fit holds, where not all can be held.

    Every template is held at a modest size, at which it is a candidate for any sprite, and where sprites show it
    larger, at the size that they need. What is held follows from the sprites and from nothing else.

    Args:
        atlases: of the templates.
        largest: texels of the longer side that any sprite may show.
        detail: how many times larger a side than the canvas the pictures are for which the levels must suffice.
        settings: see `LevelSettings`.

    Attributes:
        halvings: [T] how often each template is halved in the atlas.
        atlas: of now. The one before must not be used any more.
    """

    def __init__(
        self, atlases: AtlasCache, largest: int, detail: int = 1, settings: LevelSettings = LevelSettings()
    ) -> None:
        self._shapes = atlases.bitmaps.shapes
        self._detail = detail
        self._settings = settings
        self._base = np.maximum(atlases.base, halvings_within(self._shapes, detail * largest))
        self._store = atlases.store_of_all()
        self.hold(self._base)

    def hold(self, halvings: IntegerArray) -> None:
        """Hold these levels [T]. Raises ValueError if they are not of as many templates."""
        if halvings.shape != self._base.shape:
            raise ValueError(f"levels of {len(halvings)} templates, not of {len(self._base)}")
        self.halvings: Int64Array = np.asarray(halvings, np.int64)
        self.atlas: Atlas = self._store.atlas(self.halvings)

    def suit(self, sprites: Sprites) -> None:
        """Hold what sprites need, and no more."""
        needed = self._needed(sprites)
        if not np.array_equal(needed, self.halvings):
            self.hold(needed)

    def is_due(self, done: int) -> bool:
        """Whether it is looked what sprites need after `done` steps."""
        return done % self._settings.interval == 0

    def follow(self, sprites: Sprites) -> bool:
        """Hold what sprites need, if any of them needs more than is held. Returns whether the atlas is another one."""
        needed = self._needed(sprites)
        if not (needed < self.halvings).any():
            return False
        self.hold(needed)
        return True

    def _needed(self, sprites: Sprites) -> Int64Array:
        lengths = 2 * self._detail * sprites.half_sizes(self._shapes.astype(np.float64)).max(axis=1)
        return halvings_for(sprites.template, lengths, self._shapes, self._base)


@dataclass(frozen=True, eq=False)
class TemplateMeasures:
    """What a fit knows of each template.

    Attributes:
        shapes: [T, 2] width and height.
        coverage: [T] mean alpha.
        measured: for initialization.
        signatures: by which templates are chosen where there are too many to try all; None for few.
    """

    shapes: Float64Array
    coverage: Float64Array
    measured: tuple[TemplateShape, ...]
    signatures: Signatures | None

    @classmethod
    def of(
        cls, atlases: AtlasCache, whole: bool, mix: float, settings: LevelSettings = LevelSettings()
    ) -> TemplateMeasures:
        """Measured on the bitmaps, `whole`, or on reduced ones, with signatures for a color mix."""
        bitmaps = atlases.bitmaps
        coverage, measured, cells = [], [], []
        halvings = halvings_within(bitmaps.shapes, settings.measured)
        for index, (width, height) in enumerate(bitmaps.shapes.tolist()):
            bitmap = bitmaps[index] if whole else bitmaps.reduced(index, int(halvings[index]))
            coverage.append(bitmap[..., 3].mean(dtype=np.float64))
            measured.append(replace(measure_template(bitmap), width=width, height=height))
            if not whole:
                cells.append(Signatures.cells_of(bitmap))
        signatures = None if whole else Signatures(np.stack(cells), mix)
        return cls(bitmaps.shapes.astype(np.float64), np.array(coverage), tuple(measured), signatures)
