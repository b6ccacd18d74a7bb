# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiles: which bitmap goes where in a grid, by how each would look there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smalti.bridge.job import JobSpec

from ..arrays import Float32Array, Float64Array, FloatArray, Int64Array, IntegerArray
from ..colour import LUMA
from ..raster.atlas import area_resample
from ..sprites import Sprites
from .allotment import AllotmentSettings
from .initialise import SpriteSampler
from .picture_statistics import box_mean
from .placement import Placement
from .use_limits import UseLimits, Uses, distance_too_large


@dataclass(frozen=True)
class TileSettings:
    """How bitmaps are compared with cells.

    Attributes:
        points: of a tile, at most, whose colors are compared; about one a pixel where tiles are smaller.
        together: tiles that are compared at a time, to bound memory.
        tint_range: smallest and largest value of a tint's channels: at 0 and 1 a logit has no gradient.
        allotment: how bitmaps are shared out where their uses are limited.
    """

    points: int = 1024
    together: int = 128
    tint_range: tuple[float, float] = (0.005, 0.995)
    allotment: AllotmentSettings = AllotmentSettings()


class TileCosts:
    """The squared error of each template at each tile, with the tint that suits it best.

    A template shows its colors times the mix, its light and shade, and a tint, which can undo any difference of the
    means that its range allows.

    Args:
        goal: [N, P, 3] the target's colors at P points of each tile, in the blend space.
        bitmaps: [T, P, 3] those of the templates.
        mix, shade: as in `smalti.bridge.job.JobSpec`.
        settings: see `TileSettings`.
    """

    def __init__(
        self, goal: Float32Array, bitmaps: Float32Array, mix: float, shade: float, settings: TileSettings
    ) -> None:
        self._tint_share, self._settings = 1 - mix, settings
        self._means, self._own_means = goal.mean(axis=1), mix * bitmaps.mean(axis=1)
        detail = goal - self._means[:, None]
        own = bitmaps - bitmaps.mean(axis=1, keepdims=True)
        own = mix * own + (1 - mix) * shade * (own @ np.array(LUMA, np.float32))[..., None]
        self._points = goal.shape[1]
        self._detail = detail.reshape(len(goal), -1)
        self._own = own.reshape(len(bitmaps), -1)
        self._squares = (self._detail**2).sum(axis=1), (self._own**2).sum(axis=1)

    def at(self, which: IntegerArray) -> Float32Array:
        """[M, T]: the errors at the tiles `which`."""
        result = np.empty((len(which), len(self._own)), np.float32)
        for first in range(0, len(which), self._settings.together):
            part = which[first : first + self._settings.together]
            away = self._squares[0][part][:, None] + self._squares[1] - 2 * self._detail[part] @ self._own.T
            for channel in range(3):
                left = self._means[part, channel][:, None] - self._own_means[:, channel]
                away += self._points * (left - np.clip(left, 0, self._tint_share)) ** 2
            result[first : first + len(part)] = away
        return result

    def tints(self, template: IntegerArray) -> Float64Array:
        """[N, 3]: the tints that suit these templates [N] at the tiles."""
        left = (self._means - self._own_means[template]).astype(np.float64)
        low, high = self._settings.tint_range
        return np.asarray(np.clip(left / max(self._tint_share, 0.05), low, high))


def tiles(
    placement: Placement,
    sampler: SpriteSampler,
    bitmaps: Sequence[Float32Array],
    job: JobSpec,
    limits: UseLimits | None,
    template: IntegerArray | None = None,
    settings: TileSettings = TileSettings(),
) -> Sprites:
    """The tiles of a grid with the bitmaps that suit their places, float64.

    Args:
        placement: with sizes.
        sampler: of the target.
        bitmaps: the templates, [h, w, 4] premultiplied, in the blend space, with their margin.
        job: what is asked for.
        limits: of the uses of bitmaps; None for none.
        template: [N] the templates if they are known already.
        settings: see `TileSettings`.

    Raises:
        SmaltiError: copies of bitmaps cannot be as far apart as the job asks for.
    """
    assert placement.size is not None
    columns, rows = _points_of(placement.size[0], settings.points)
    goal = _colors_at(placement, sampler.target, columns, rows)
    known = np.stack([_colors_of(bitmap, columns, rows) for bitmap in bitmaps])
    costs = TileCosts(goal, known, job.colour_mix, job.shade, settings)
    if template is None:
        chosen = costs.at(np.arange(len(placement))).argmin(axis=1) if limits is None else None
        template = _allotted(placement, costs, goal, job, limits, settings) if chosen is None else chosen
    # A template has a margin of one texel on every side, which is not part of the tile.
    texels = np.array([(sampler.shapes[t].width, sampler.shapes[t].height) for t in template.tolist()], np.float64)
    width, height = (placement.size * texels / np.maximum(texels - 2, 1)).T
    shape = texels[:, 0] / texels[:, 1]
    scale = 0.5 * np.sqrt(width * height) * np.maximum(shape, 1 / shape) ** 0.5
    return Sprites(
        template=template.astype(np.int32),
        x=placement.x.copy(),
        y=placement.y.copy(),
        scale=scale,
        aspect=np.log(width / height / shape),
        theta=placement.theta.copy(),
        opacity=np.full(len(placement), job.alpha_max),
        tint=costs.tints(template),
    )


def _allotted(
    placement: Placement,
    costs: TileCosts,
    goal: Float32Array,
    job: JobSpec,
    limits: UseLimits | None,
    settings: TileSettings,
) -> Int64Array:
    """Templates [N] within the limits: the tiles with most detail choose first; then tiles exchange bitmaps."""
    assert limits is not None
    count, number = len(placement), len(limits.bitmap)
    uses = Uses(limits, np.full(count, -1), placement.x, placement.y)
    order = np.argsort(-goal.var(axis=1).sum(axis=1), kind="stable")
    if count * number > settings.allotment.pairs:
        left = uses.fill(order.tolist(), costs.at)
    else:
        table = costs.at(np.arange(count))
        left = uses.fill(order.tolist(), lambda which: table[which])
        uses.improve(table, order, settings.allotment.rounds_for(limits, count))
    if left:
        raise distance_too_large(job)
    return uses.template


def _points_of(size: Float64Array, most: int) -> tuple[int, int]:
    """How many points of a tile of this width and height, in pixels, are compared along each."""
    factor = min(1.0, float(np.sqrt(most / size.prod())))
    columns, rows = np.maximum(2, np.rint(factor * size)).astype(int).tolist()
    return columns, rows


def _colors_at(placement: Placement, target: FloatArray, columns: int, rows: int) -> Float32Array:
    """[N, rows * columns, 3]: the straight colors of a target [H, W, 4] at points of each tile."""
    assert placement.size is not None
    height, width = target.shape[:2]
    v, u = np.meshgrid((np.arange(rows) + 0.5) / rows - 0.5, (np.arange(columns) + 0.5) / columns - 0.5, indexing="ij")
    mean = box_mean(target, int(0.5 * placement.size[0, 0] / columns))
    colors = (mean[..., :3] / np.maximum(mean[..., 3:], 1e-3)).astype(np.float32)
    across, down = placement.size[:, :1] * u.ravel(), placement.size[:, 1:] * v.ravel()
    cos, sin = np.cos(placement.theta)[:, None], np.sin(placement.theta)[:, None]
    x = placement.x[:, None] + cos * across - sin * down
    y = placement.y[:, None] + sin * across + cos * down
    picked: Float32Array = colors[np.clip(y.astype(np.int64), 0, height - 1), np.clip(x.astype(np.int64), 0, width - 1)]
    return picked


def _colors_of(bitmap: Float32Array, columns: int, rows: int) -> Float32Array:
    """[rows * columns, 3]: a template's colors at points of it, without its margin."""
    inner = bitmap[1:-1, 1:-1, :3]
    reduced = area_resample(area_resample(inner, rows, 0), columns, 1)
    return reduced.reshape(-1, 3).astype(np.float32)
