# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes: alpha for pictures without it, of an object on a plain background or of ink on paper.

Pictures are [H, W, 4] uint8, straight alpha, sRGB-encoded; alpha that a picture has is only reduced. The distance
between two colors is the largest difference of any channel, 0 to 255.
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, Float32Array, IntegerArray, UInt8Array
from ..colour import LUMA

CLEAN = 10.0
"""Distance up to which a pixel counts as background: noise of JPEG and paper on a plain surface."""
SURE = 24.0
"""Distance beyond which a pixel counts as object; one in between belongs to the side that it is connected to."""
PLAIN = 0.75
"""Smallest fraction of a plain border's pixels within the distance `SURE` of one color."""
SAMPLES = 1_000_000
"""Largest number of pixels that statistics are taken from, and of edge pixels processed at a time, to bound memory."""
PAPER = 8
"""Alpha (of 255) below which `dark_as_opaque` takes a pixel for the tone of the paper."""


def connected(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    """The part of `mask` [H, W] that is connected to `seeds` [H, W], by 4-neighbors.

    Runs of pixels along the rows are the nodes of a graph, overlaps with runs of the next row its edges. Its components
    are labeled by hooking and pointer jumping, so that the cost hardly depends on the shapes.
    """
    height, width = mask.shape
    row = width + 1  # one empty column between rows, so that in flat numbering no run crosses into the next row
    flat = np.zeros(height * row + 1, np.int8)
    flat[1:].reshape(height, row)[:, :width] = mask
    steps = np.diff(flat)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)

    # Run r overlaps, one row below, the runs from first[r] up to but not including last[r].
    first = np.searchsorted(ends, starts + row, side="right")
    last = np.searchsorted(starts, ends + row, side="left")
    count = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), count)
    lower = np.arange(len(upper)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)

    label = np.arange(len(starts))
    while len(upper):
        a, b = label[upper], label[lower]
        open_edges = a != b
        upper, lower, a, b = upper[open_edges], lower[open_edges], a[open_edges], b[open_edges]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(parent := label[label], label):
            label = parent

    seeded = np.zeros(height * row + 1, np.int64)
    seeded[1:].reshape(height, row)[:, :width] = seeds
    total = np.cumsum(seeded)
    kept = np.zeros(len(starts), np.bool_)
    kept[label[total[ends] > total[starts]]] = True
    kept = kept[label]
    painted = np.zeros(height * row, np.int8)
    painted[starts[kept]] = 1
    painted[ends[kept]] -= 1
    return np.cumsum(painted, dtype=np.int8).reshape(height, row)[:, :width].astype(np.bool_)


def grown(mask: BoolArray) -> BoolArray:
    """`mask` [H, W], dilated by one pixel (8-neighbors)."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    result = rows.copy()
    result[:, 1:] |= rows[:, :-1]
    result[:, :-1] |= rows[:, 1:]
    return result


def border_color(rgba: UInt8Array) -> tuple[Float32Array, bool]:
    """The prevailing color [3], 0 to 255, of the picture's outermost pixels, and whether the border is plain.

    Transparent pixels do not count; a border of nothing else is not plain.
    """
    edge = np.concatenate([rgba[0], rgba[-1], rgba[1:-1, 0], rgba[1:-1, -1]])
    colors = edge[edge[:, 3] >= 128, :3].astype(np.float32)
    if not len(colors):
        return np.zeros(3, np.float32), False
    center = np.median(colors, axis=0)
    # The median of the inliers alone: an object that is cut off by the border does not shift the color.
    for _ in range(2):
        near = np.abs(colors - center).max(axis=1) <= SURE
        if not near.any():
            return center.astype(np.float32), False
        center = np.median(colors[near], axis=0)
    return center.astype(np.float32), float(near.mean()) >= PLAIN


def _distance(rgba: UInt8Array, color: Float32Array) -> Float32Array:
    """[H, W]: distance of each pixel of [H, W, 4] from a color [3]."""
    result = np.zeros(rgba.shape[:2], np.float32)
    for c in range(3):
        np.maximum(result, np.abs(rgba[..., c].astype(np.float32) - color[c]), out=result)
    return result


def _unmixed(rgb: Float32Array, alpha: Float32Array, background: Float32Array) -> UInt8Array:
    """F [N, 3] in ``rgb = alpha * F + (1 - alpha) * background``, with rgb [N, 3], 0 to 255, and alpha [N], 0 to 1."""
    a = np.maximum(alpha, 1 / 255)[:, None]
    return np.asarray(np.rint(np.clip((rgb - (1 - a) * background) / a, 0, 255)), dtype=np.uint8)


def _with_alpha(rgba: UInt8Array, alpha: Float32Array) -> UInt8Array:
    """`rgba` [H, W, 4] with its alpha multiplied by `alpha` [H, W], 0 to 1."""
    result = rgba.copy()
    result[..., 3] = np.rint(rgba[..., 3] * alpha)
    return result


def ink(rgba: UInt8Array, background: Float32Array) -> UInt8Array | None:
    """A picture of one ink on paper (a stamp, a print, a stroke) as that ink with alpha; None for any other picture.

    Paper is paper also where strokes enclose it. So alpha is the position of a pixel's color between those of paper and
    ink everywhere, whether connected to the border or not. A picture is one ink on paper if all its colors lie on the
    line between two, few of them half way: those of soft edges.

    Args:
        rgba: [H, W, 4].
        background: [3], the color of the paper, 0 to 255.
    """
    distance = _distance(rgba, background)
    marked = (distance > SURE) & (rgba[..., 3] >= 128)
    if not marked.any():
        return None
    sample = np.flatnonzero(marked)
    sample = sample[:: 1 + len(sample) // SAMPLES]
    offsets = rgba.reshape(-1, 4)[sample, :3].astype(np.float32) - background
    length = distance.reshape(-1)[sample]
    tone = np.median(offsets[length >= 0.75 * np.percentile(length, 95)], axis=0)
    contrast = float(np.abs(tone).max())
    if contrast < 4 * SURE:
        return None
    share = offsets @ tone / float(tone @ tone)
    off_line = np.abs(offsets - share[:, None] * tone).max(axis=1)
    if np.mean(off_line > SURE) > 0.01 or np.mean((share > 0.2) & (share < 0.7)) > 0.4:
        return None
    alpha = np.full(distance.shape, -(background @ tone), np.float32)
    for c in range(3):
        alpha += tone[c] * rgba[..., c]
    alpha *= grown(marked) / np.float32(tone @ tone)
    np.clip(alpha, 0, 1, out=alpha)
    result = _with_alpha(rgba, alpha)
    result[alpha < 1, :3] = np.rint(np.clip(background + tone, 0, 255))
    return result


def without_background(rgba: UInt8Array, background: Float32Array) -> UInt8Array:
    """Key out the color `background` where it is connected to the border, with a soft edge and without color fringes.

    Within two pixels of the edge, alpha is the position of a pixel's color between the background's and the object's
    nearby, and the background's part is removed from the color.

    Args:
        rgba: [H, W, 4].
        background: [3], 0 to 255.
    """
    distance = _distance(rgba, background)
    empty = rgba[..., 3] == 0
    border = np.zeros(distance.shape, np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    # Specks of a distance between CLEAN and SURE that touch nothing beyond SURE are noise, wherever they lie.
    doubtful = (distance > CLEAN) & ~empty
    objects = connected(doubtful, (distance > SURE) & doubtful)
    outside = connected(~objects, border)
    inside = ~outside
    if not outside.any() or not inside.any():
        return _with_alpha(rgba, inside.astype(np.float32))

    rim = grown(outside)
    rim2 = grown(rim)
    edge = rim2 & grown(inside)
    core = inside & ~rim2 & (distance > SURE)
    alpha = inside.astype(np.float32)
    pixels = np.flatnonzero(edge)
    colors = rgba[..., :3].copy()
    for chunk in np.array_split(pixels, 1 + len(pixels) // SAMPLES):
        rows, columns = np.divmod(chunk, edge.shape[1])
        own = rgba[rows, columns, :3].astype(np.float32)
        way = _nearby_color(rgba, distance, inside, core, rows, columns) - background
        share = np.einsum("nc,nc->n", own - background, way) / np.maximum(np.einsum("nc,nc->n", way, way), 1)
        alpha[rows, columns] = share = np.clip(share, 0, 1)
        soft = share < 1
        colors[rows[soft], columns[soft]] = _unmixed(own[soft], share[soft], background)
    result = _with_alpha(rgba, alpha)
    result[..., :3] = colors
    return result


def _nearby_color(
    rgba: UInt8Array,
    distance: Float32Array,
    inside: BoolArray,
    core: BoolArray,
    rows: IntegerArray,
    columns: IntegerArray,
) -> Float32Array:
    """The object's color near each listed pixel, [N, 3].

    That is the mean of the core within two pixels; without any core there (a stalk, a hair), the color within two
    pixels that is most distant from the background.

    Args:
        rgba: [H, W, 4].
        distance: [H, W] from the background.
        inside: [H, W], where the object is.
        core: [H, W], where its color is free of the background's.
        rows, columns: [N] of the pixels.
    """
    height, width = inside.shape
    total = np.zeros((len(rows), 3), np.float32)
    weight = np.zeros(len(rows), np.float32)
    extreme = np.zeros((len(rows), 3), np.float32)
    reach = np.full(len(rows), -1, np.float32)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            # Beyond the picture's border its outermost pixels are repeated.
            here = (np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1))
            colors = rgba[here][:, :3].astype(np.float32)
            sure = core[here].astype(np.float32)
            total += colors * sure[:, None]
            weight += sure
            far = np.where(inside[here], distance[here], -1)
            farther = far > reach
            extreme[farther] = colors[farther]
            reach[farther] = far[farther]
    return np.where(weight[:, None] > 0, total / np.maximum(weight, 1)[:, None], extreme)


def dark_as_opaque(rgba: UInt8Array) -> UInt8Array:
    """Make black opaque and white transparent, as for a scanned brush: alpha times 1 - luma, white removed from colors.

    Luma is the Rec. 709 weighting of the encoded values. Alpha below `PAPER` becomes 0.

    Args:
        rgba: [H, W, 4].
    """
    rgb = rgba[..., :3].astype(np.float32)
    alpha = np.asarray(1 - rgb @ np.array(LUMA, np.float32) / 255, dtype=np.float32)
    alpha[alpha * 255 < PAPER] = 0
    result = _with_alpha(rgba, alpha)
    result[..., :3] = _unmixed(rgb.reshape(-1, 3), alpha.reshape(-1), np.full(3, 255, np.float32)).reshape(rgb.shape)
    return result
