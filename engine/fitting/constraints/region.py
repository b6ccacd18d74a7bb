# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the canvas that the sprites of a group may not leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from smalti.bridge.errors import SmaltiError

from ...arrays import BoolArray, Float64Array, Int64Array
from ...raster import Atlas
from ...raster.atlas import texels_for
from ...sprites import Sprites
from ..groups import Group
from ..picture_statistics import box_mean
from .overflow import FINER, Overflow

PLACE = ("x", "y", "scale", "theta")
"""The columns that decide whether a sprite is inside."""


@dataclass(frozen=True)
class RegionSettings:
    """How sprites are brought back inside.

    Attributes:
        pushes: tries to bring back a sprite that a step has moved outside, before the step is undone.
        shrinks: tries to fit a sprite in where it was put.
        shrink: factor of its size from one to the next.
        candidates: poses that are tried, over all templates together, to find where the smallest sprites fit.
        angles: number of angles among them.
        nearest_anchors: how many of the nearest of those poses a sprite tries that fits in nowhere else.
    """

    pushes: int = 2
    shrinks: int = 14
    shrink: float = 0.85
    candidates: int = 16_384
    angles: int = 16
    nearest_anchors: int = 64


class Region:
    """Keeps sprites inside.

    Args:
        inside: [2 H, 2 W], where sprites may draw, in pixels of half the canvas's. A pixel of the canvas is inside if
            all four of its quarters are. Beyond the canvas a sprite may be wherever it likes.
        group: of the sprites.
        atlas_of: function of a number of texels: the templates (see `smalti.engine.raster.build_atlas`).
        shapes: [T, 2] width and height of each template.
        turn: angles are multiples of this, radians; 0 allows 0 alone, None every angle.
        settings: see `RegionSettings`.

    Attributes:
        inside: [H, W].
        group: as given.

    Raises:
        SmaltiError: no pixel is inside where the group's centers may be (code ``"region_empty"``), or no template fits
            in anywhere at its smallest (``"region_too_small"``).
    """

    def __init__(
        self,
        inside: BoolArray,
        group: Group,
        atlas_of: Callable[[int], Atlas],
        shapes: Float64Array,
        turn: float | None,
        settings: RegionSettings = RegionSettings(),
    ) -> None:
        self.group = group
        self._overflow = Overflow(inside, atlas_of, shapes)
        self.inside = self._overflow.inside
        self._settings = settings
        self._turn = turn
        smallest, largest = group.size_range
        self._smallest = 0.5 * smallest
        self._atlas_of, self._largest = atlas_of, texels_for(largest)
        allowed = np.flatnonzero(group.within(self.inside.astype(np.float64)))
        if not len(allowed):
            raise SmaltiError(
                f"Nothing of {group.name} lies where sprites may draw.", "Change one of the masks.", "region_empty"
            )
        self._anchors = self._find_anchors(allowed)
        if not self._anchors:
            raise SmaltiError(
                f"No bitmap fits into {group.name}, not even {smallest:.3g} pixels large ({group.smallest}).",
                f"Choose a smaller {group.smallest}, or a larger part.",
                "region_too_small",
            )

    @property
    def _atlas(self) -> Atlas:
        """The templates as the fit shows them."""
        return self._atlas_of(self._largest)

    def project(self, sprites: Sprites, before: Sprites) -> Sprites:
        """The sprites after a step, back inside; where that fails, as they were `before`, when they were inside.

        A sprite at the edge is moved and turned, but not made smaller, only kept from growing: otherwise those that the
        picture draws to an edge would shrink a little with each step until nothing is left.
        """
        result = sprites.copy()
        bad = np.flatnonzero(self._overflow.is_near(result))
        for pushes in range(self._settings.pushes + 1):
            bad = self._push(result, bad, {1: self._atlas})
            if not len(bad):
                break
            if pushes == 0:
                result.scale[bad] = np.minimum(result.scale[bad], before.scale[bad])
        for name in PLACE:
            getattr(result, name)[bad] = getattr(before, name)[bad]
        return result

    def settle(self, sprites: Sprites) -> Sprites:
        """Sprites from anywhere, inside, as near to where they are and as large as can be found at little cost.

        Centers within the group's mask stay there. In the end a sprite takes the smallest size at a pose where its
        template is known to fit. One whose template fits in nowhere gets another template.
        """
        result, settings = sprites.copy(), self._settings
        known: dict[int, Atlas] | None = None
        # Sprites only shrink here, so the texels that they show are soon the same as before.
        while (atlases := self._overflow.atlases(result)) != known:
            known = atlases
            bad = np.flatnonzero(self._overflow.is_near(result))
            for _ in range(settings.shrinks):
                bad = self._push(result, bad, atlases)
                if not len(bad):
                    break
                self._revert_centers(result, bad, sprites)
                smallest = np.minimum(self._smallest, result.scale[bad])
                result.scale[bad] = np.maximum(settings.shrink * result.scale[bad], smallest)
            for k in bad[self._overflow.overflows(result.take(bad), atlases)].tolist():
                self._snap_to_anchor(result, k, atlases)
        return result

    def _revert_centers(self, sprites: Sprites, which: Int64Array, before: Sprites) -> None:
        """Put those of the sprites `which` back where they were `before` whose centers left the group's mask."""
        now, then = sprites.take(which), before.take(which)
        lost = which[self.group.holds(then.x, then.y) & ~self.group.holds(now.x, now.y)]
        sprites.x[lost], sprites.y[lost] = before.x[lost], before.y[lost]

    def _snap_to_anchor(self, sprites: Sprites, k: int, atlases: Mapping[int, Atlas]) -> None:
        """Put a sprite, at the smallest size, where its template fits; where none does, its opacity becomes 0."""
        known = sorted(self._anchors)
        template = int(sprites.template[k])
        if template not in self._anchors:
            template = known[k % len(known)]
        anchors = self._anchors[template]
        distance = (anchors[:, 0] - sprites.x[k]) ** 2 + (anchors[:, 1] - sprites.y[k]) ** 2
        anchors = anchors[np.argsort(distance, kind="stable")[: self._settings.nearest_anchors]]
        good = np.flatnonzero(~self._overflow.overflows(self._at_anchors(template, anchors), atlases))
        sprites.template[k] = template
        sprites.scale[k] = self._smallest
        sprites.x[k], sprites.y[k], sprites.theta[k] = anchors[good[0] if len(good) else 0]
        if not len(good):
            sprites.opacity[k] = 0

    def _at_anchors(self, template: int, anchors: Float64Array) -> Sprites:
        """Sprites of a template at the smallest size at the poses [K, 3]: x, y and theta."""
        count = len(anchors)
        return Sprites(
            template=np.full(count, template, np.int32),
            x=anchors[:, 0],
            y=anchors[:, 1],
            scale=np.full(count, self._smallest),
            aspect=np.zeros(count),
            theta=anchors[:, 2],
            opacity=np.ones(count),
            tint=np.zeros((count, 3)),
        )

    def _push(self, sprites: Sprites, which: Int64Array, atlases: Mapping[int, Atlas]) -> Int64Array:
        """Move and turn those of the sprites `which` that draw outside by one Newton step. Returns which they are.

        That is the shortest way on which, as far as the gradients tell, nothing outside is left.
        """
        if not len(which):
            return which
        amount, gradients = self._overflow.amount(sprites.take(which), atlases)
        bad = amount > Overflow.NEGLIGIBLE
        which, amount = which[bad], amount[bad]
        gradients = {name: gradient[bad] for name, gradient in gradients.items()}
        scale = sprites.scale[which]
        # Angles in pixels at the sprite's end, so that a way has a length.
        gradients["theta"] = gradients["theta"] / scale if self._turn is None else np.zeros_like(scale)
        norm = np.sqrt(sum(gradient**2 for gradient in gradients.values())) + 1e-12
        # Soft edges fade out, where Newton steps get ever shorter.
        length = np.clip(1.2 * amount / norm, 0.5, np.maximum(0.5 * scale, 1.0))
        way = {name: -length * gradient / norm for name, gradient in gradients.items()}
        way["theta"] = np.clip(way["theta"] / scale, -0.5, 0.5)
        for name in way:
            getattr(sprites, name)[which] += way[name]
        return which

    def _find_anchors(self, allowed: Int64Array) -> dict[int, Float64Array]:
        """For each template that fits in somewhere at the smallest size, poses [K, 3] (x, y, theta) where it does.

        Centers are tried at the pixels `allowed` [A], row * width + column.
        """
        settings, width = self._settings, self.inside.shape[1]
        room = box_mean(self.inside.astype(np.float64), int(self._smallest)) * self.inside
        each = max(64, settings.candidates // len(self.group.templates))
        # Half of them where there is most room, half all over.
        roomiest = allowed[np.argsort(-room.ravel()[allowed], kind="stable")]
        spread = np.linspace(0, len(allowed) - 1, each // 2).astype(int)
        pixel = np.concatenate([roomiest[: each // 2], allowed[spread]])
        row, column = np.divmod(pixel, width)
        turn = 2 * np.pi / settings.angles if self._turn is None else self._turn
        turns = max(1, round(2 * np.pi / turn)) if turn else 1
        anchors = {}
        for template in self.group.templates:
            poses = np.stack([column + 0.5, row + 0.5, turn * (np.arange(len(pixel)) % turns)], axis=1)
            smallest = dict.fromkeys((1, FINER), self._atlas)
            good = ~self._overflow.overflows(self._at_anchors(template, poses), smallest)
            if good.any():
                anchors[template] = poses[good]
        return anchors


def named_for_frame(group: Group, frame: int) -> Group:
    """The group, whose name in messages says in which frame of a film, unless it is the first."""
    return replace(group, name=f"{group.name} in frame {frame + 1}") if frame else group
