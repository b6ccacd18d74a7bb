# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference back end: plain torch, dense, slow, and written to be checked by eye against design.md's formulas.

It runs in float64, differentiates through torch's autograd, and is the oracle of every test. The other back ends must
return what it returns. The notation is that of engine/kernels/sprite.h.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..colour import encoded as display_encoded
from .atlas import LOD_OFFSET, MARGIN, TEXEL_ONE
from .scene import Scene
from .trials import (
    AT_BOTTOM,
    IN_STACK,
    ON_TOP,
    SUMS,
    Appraisal,
    Trials,
)


def _sample(texels: Tensor, level: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Bilinear lookup. texels [K, 4]; level [N, 3]; u, v [N, H, W], in reach of the level -> [N, H, W, 4]."""
    base, width, height = (level[:, i].reshape(-1, 1, 1) for i in range(3))
    x = (u + 1) * 0.5 * width - 0.5 + MARGIN
    y = (v + 1) * 0.5 * height - 0.5 + MARGIN
    column, row = x.detach().floor().long(), y.detach().floor().long()
    fx, fy = (x - column).unsqueeze(-1), (y - row).unsqueeze(-1)
    stride = width + 2 * MARGIN
    index = base + row * stride + column
    top = texels[index] * (1 - fx) + texels[index + 1] * fx
    bottom = texels[index + stride] * (1 - fx) + texels[index + stride + 1] * fx
    return top * (1 - fy) + bottom * fy


def composite(scene: Scene) -> Tensor:
    """See `smalti.engine.raster.composite`. Memory grows as sprites x pixels. The result has the type of `affine`."""
    affine, opacity, tint, template, atlas = scene.affine, scene.opacity, scene.tint, scene.template, scene.atlas
    background, mix, lod_bias, stop = scene.background, scene.mix, scene.lod_bias, scene.stop
    height, width = scene.size
    kind = affine.dtype
    n = len(affine)
    texels = torch.from_numpy(atlas.texels.astype("float64")).to(kind) / TEXEL_ONE
    levels = torch.from_numpy(atlas.levels).long()
    first_level = torch.from_numpy(atlas.first_level).long()
    template = template.long()

    a, b, c, d, e, f = (affine[:, i].reshape(n, 1, 1) for i in range(6))
    x = (torch.arange(width, dtype=kind) + 0.5).reshape(1, 1, width)
    y = (torch.arange(height, dtype=kind) + 0.5).reshape(1, height, 1)
    u, v = a * x + b * y + c, d * x + e * y + f

    # Level of detail: texels per pixel as the square root of the ratio of areas, and the two levels about it.
    first, count = first_level[template], first_level[template + 1] - first_level[template]
    determinant = (affine[:, 0] * affine[:, 4] - affine[:, 1] * affine[:, 3]).abs()
    area = levels[first, 1] * levels[first, 2]
    last = (count - 1).to(kind)
    lod = torch.minimum((0.5 * torch.log2(determinant * 0.25 * area) + LOD_OFFSET + lod_bias).clamp(min=0), last)
    fine = torch.minimum(lod.detach().floor().long(), count - 1)
    fraction = (lod - fine).reshape(n, 1, 1, 1)
    coarse = torch.where(fraction.detach().reshape(n) > 0, torch.minimum(fine + 1, count - 1), fine)
    fine, coarse = levels[first + fine], levels[first + coarse]

    # Half a texel of the coarser level beyond the template's square; there the value has faded to 0.
    inside = (u.abs() <= 1 + 1 / coarse[:, 1].to(kind).reshape(n, 1, 1)) & (
        v.abs() <= 1 + 1 / coarse[:, 2].to(kind).reshape(n, 1, 1)
    )
    u, v = torch.where(inside, u, 0.0), torch.where(inside, v, 0.0)
    t = (1 - fraction) * _sample(texels, fine, u, v) + fraction * _sample(texels, coarse, u, v)
    t = torch.where(inside.unsqueeze(-1), t, 0.0)

    q = t[..., 3]
    o = opacity.to(kind).reshape(n, 1, 1)
    alpha = o * q
    colour = o.unsqueeze(-1) * ((1 - mix) * tint.to(kind).reshape(n, 1, 1, 3) * q.unsqueeze(-1) + mix * t[..., :3])

    image = torch.zeros(height, width, 4, dtype=kind)
    above = torch.ones(height, width, dtype=kind)
    for k in reversed(range(n)):
        drawn = above.detach() >= stop
        weight = torch.where(drawn, above, 0.0).unsqueeze(-1)
        image = image + weight * torch.cat([colour[k], alpha[k].unsqueeze(-1)], dim=-1)
        above = torch.where(drawn, above * (1 - alpha[k]), above)
    if background is not None:
        image = image + above.unsqueeze(-1) * background.to(kind)
    return image


def image_loss(scene: Scene, goal: Tensor, absolute: bool, encoded: bool) -> Tensor:
    """See `smalti.engine.raster.image_loss`."""
    image = composite(scene)
    if encoded:
        image = torch.cat([display_encoded(image[..., :3], "linear"), image[..., 3:]], dim=-1)
    difference = image - goal.to(image.dtype)
    return (difference.abs() if absolute else difference.square()).mean()


def removal_costs(scene: Scene, goal: Tensor) -> Tensor:
    """See `smalti.engine.raster.removal_costs`: draws the picture once without each sprite."""
    count = len(scene.affine)

    def loss(kept: Tensor) -> Tensor:
        return image_loss(replace(scene, opacity=scene.opacity * kept), goal, False, False)

    one = torch.ones(count, dtype=scene.affine.dtype)
    with torch.no_grad():
        before = loss(one)
        return torch.stack([loss(one.index_fill(0, torch.tensor(k), 0.0)) - before for k in range(count)])


def appraise(scene: Scene, goal: Tensor, trials: Trials) -> Appraisal:
    """See `smalti.engine.raster.appraise`: draws each trial in a few paints, and solves for its sums."""
    count = len(scene.affine)

    def change(j: int, opacity: float, premultiplied: Tensor, before: Tensor) -> Tensor:
        tint = premultiplied / opacity if opacity else premultiplied
        new = (
            trials.affine[j : j + 1],
            scene.opacity.new_tensor([opacity]),
            tint.reshape(1, 3),
            trials.template[j : j + 1],
        )
        gone = int(trials.replaces[j])
        at = {IN_STACK: gone + 1, ON_TOP: count, AT_BOTTOM: 0}[int(trials.place[j])]

        def inserted(values: Tensor, value: Tensor) -> Tensor:
            return torch.cat([values[:at], value.to(values.dtype), values[at:]])

        opacities = scene.opacity.clone()
        if gone >= 0:
            opacities[gone] = 0.0
        tried = replace(
            scene,
            affine=inserted(scene.affine, new[0]),
            opacity=inserted(opacities, new[1]),
            tint=inserted(scene.tint, new[2]),
            template=inserted(scene.template, new[3]),
        )
        return image_loss(tried, goal, False, False) - before

    def without(j: int) -> Tensor:
        gone = int(trials.replaces[j])
        opacity = scene.opacity if gone < 0 else scene.opacity.index_fill(0, torch.tensor(gone), 0.0)
        return image_loss(replace(scene, opacity=opacity), goal, False, False)

    rows = []
    with torch.no_grad():
        for j in range(len(trials)):
            before = without(j)
            black = scene.tint.new_zeros(3)
            # A tint above 1 is no colour, but the formula does not mind.
            half, whole = change(j, 0.5, black, before), change(j, 1.0, black, before)
            own, match = 2 * (whole - 2 * half), 0.5 * (whole - 4 * half)
            cross, tint, squares = [], [], scene.tint.new_zeros(())
            for channel in range(3):
                one = black.index_fill(0, torch.tensor(channel), 1.0)
                # E(1, s) - E(1, 0) = squares s^2 + 2 s (cross - tint); with o = 1/2: squares s^2 + s (cross - 2 tint).
                first, second = change(j, 1.0, one, before) - whole, change(j, 1.0, 2 * one, before) - whole
                third = change(j, 0.5, one, before) - half
                squares = 0.5 * (second - 2 * first)
                cross.append(first - third)
                tint.append(0.5 * (squares + 2 * cross[-1] - first))
            rows.append(torch.stack([squares, *cross, own, *tint, match]))
    sums = torch.stack(rows) if rows else scene.affine.new_zeros(0, SUMS)
    return Appraisal(removal_costs(scene, goal), sums)
