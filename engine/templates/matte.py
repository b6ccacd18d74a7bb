# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpha for pictures that have none: an object on a plain background, ink on paper.

Pictures are straight uint8 RGBA [H, W, 4], sRGB-encoded; alpha that is already there can only fall. The distance
between two colours is the largest difference of any channel, 0 to 255.
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, Float32Array, IntegerArray, UInt8Array

CLEAN = 10.0
"""Up to this distance a pixel passes for background: the noise that JPEG and paper leave on a plain surface."""
SURE = 24.0
"""Beyond this distance a pixel is no background; what lies between belongs to the side that it is connected to."""
PLAIN = 0.75
"""A border is plain where this share of its pixels is within `SURE` of one colour."""
SAMPLES = 1_000_000
"""Pixels that statistics are taken from, and that edges are worked on at a time, to bound memory."""
PAPER = 8
"""Alpha below this (of 255) is taken for the tone of the paper when dark means opaque."""


def connected(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    """The part of `mask` that is connected to `seeds` (4-neighbours).

    Runs of pixels along the rows are the nodes of a graph, overlaps with runs of the next row its edges; the labels of
    its components are found by hooking and pointer jumping, so the cost hardly depends on the shapes.
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
    """`mask` and its 8 neighbours."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    result = rows.copy()
    result[:, 1:] |= rows[:, :-1]
    result[:, :-1] |= rows[:, 1:]
    return result


def border_colour(rgba: UInt8Array) -> tuple[Float32Array, bool]:
    """The prevailing colour of the picture's outermost pixels ([3], 0 to 255), and whether the border is plain.

    Transparent pixels do not count; a border with nothing else is not plain.
    """
    edge = np.concatenate([rgba[0], rgba[-1], rgba[1:-1, 0], rgba[1:-1, -1]])
    colours = edge[edge[:, 3] >= 128, :3].astype(np.float32)
    if not len(colours):
        return np.zeros(3, np.float32), False
    centre = np.median(colours, axis=0)
    # The median of the inliers alone: an object that is cut off by the border does not pull the colour towards itself.
    for _ in range(2):
        near = np.abs(colours - centre).max(axis=1) <= SURE
        if not near.any():
            return centre.astype(np.float32), False
        centre = np.median(colours[near], axis=0)
    return centre.astype(np.float32), float(near.mean()) >= PLAIN


def _distance(rgba: UInt8Array, colour: Float32Array) -> Float32Array:
    result = np.zeros(rgba.shape[:2], np.float32)
    for c in range(3):
        np.maximum(result, np.abs(rgba[..., c].astype(np.float32) - colour[c]), out=result)
    return result


def _unmixed(rgb: Float32Array, alpha: Float32Array, background: Float32Array) -> UInt8Array:
    """F in ``rgb = alpha * F + (1 - alpha) * background``, with rgb [N, 3] from 0 to 255 and alpha [N] from 0 to 1."""
    a = np.maximum(alpha, 1 / 255)[:, None]
    return np.asarray(np.rint(np.clip((rgb - (1 - a) * background) / a, 0, 255)), dtype=np.uint8)


def _with_alpha(rgba: UInt8Array, alpha: Float32Array) -> UInt8Array:
    """`rgba` with its alpha multiplied by `alpha` ([H, W], 0 to 1)."""
    result = rgba.copy()
    result[..., 3] = np.rint(rgba[..., 3] * alpha)
    return result


def ink(rgba: UInt8Array, background: Float32Array) -> UInt8Array | None:
    """A picture in one ink on `background` (a stamp, a print, a stroke), as that ink; None where it is anything else.

    Ink on paper has no inside and outside: what shows between the strokes is paper even where they enclose it. So alpha
    is everywhere how far the colour lies on the way from the paper to the ink. It *is* one ink where all colours lie on
    the straight line between two, and few of them half way: those come from soft edges only.
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
    """Key out what has the colour `background` and is connected to the border, with a soft edge free of its colour.

    Along the edge, two pixels wide, alpha is how far the colour lies on the way from the background to the object's own
    colour nearby, and the background's part is taken out of the colour.
    """
    distance = _distance(rgba, background)
    empty = rgba[..., 3] == 0
    border = np.zeros(distance.shape, np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    # Specks between CLEAN and SURE that touch nothing surer are noise, wherever they lie.
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
    colours = rgba[..., :3].copy()
    for chunk in np.array_split(pixels, 1 + len(pixels) // SAMPLES):
        rows, columns = np.divmod(chunk, edge.shape[1])
        own = rgba[rows, columns, :3].astype(np.float32)
        way = _nearby_colour(rgba, distance, inside, core, rows, columns) - background
        share = np.einsum("nc,nc->n", own - background, way) / np.maximum(np.einsum("nc,nc->n", way, way), 1)
        alpha[rows, columns] = share = np.clip(share, 0, 1)
        soft = share < 1
        colours[rows[soft], columns[soft]] = _unmixed(own[soft], share[soft], background)
    result = _with_alpha(rgba, alpha)
    result[..., :3] = colours
    return result


def _nearby_colour(
    rgba: UInt8Array,
    distance: Float32Array,
    inside: BoolArray,
    core: BoolArray,
    rows: IntegerArray,
    columns: IntegerArray,
) -> Float32Array:
    """The object's colour near each listed pixel, [N, 3]: the mean of the core within two pixels, and where no core is
    (a stalk, a hair), the colour least like the background within two pixels."""
    height, width = inside.shape
    total = np.zeros((len(rows), 3), np.float32)
    weight = np.zeros(len(rows), np.float32)
    extreme = np.zeros((len(rows), 3), np.float32)
    reach = np.full(len(rows), -1, np.float32)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            # Past the picture's border its outermost pixels stand in.
            here = (np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1))
            colours = rgba[here][:, :3].astype(np.float32)
            sure = core[here].astype(np.float32)
            total += colours * sure[:, None]
            weight += sure
            far = np.where(inside[here], distance[here], -1)
            farther = far > reach
            extreme[farther] = colours[farther]
            reach[farther] = far[farther]
    return np.where(weight[:, None] > 0, total / np.maximum(weight, 1)[:, None], extreme)


def dark_as_opaque(rgba: UInt8Array) -> UInt8Array:
    """Black opaque, white transparent, as a brush is scanned: alpha times 1 - luma, the white taken out of the colour.

    Luma is the Rec. 709 weighting of the encoded values. Alpha below `PAPER` becomes 0.
    """
    rgb = rgba[..., :3].astype(np.float32)
    alpha = np.asarray(1 - rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32) / 255, dtype=np.float32)
    alpha[alpha * 255 < PAPER] = 0
    result = _with_alpha(rgba, alpha)
    result[..., :3] = _unmixed(rgb.reshape(-1, 3), alpha.reshape(-1), np.full(3, 255, np.float32)).reshape(rgb.shape)
    return result
