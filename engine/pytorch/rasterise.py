# SPDX-License-Identifier: GPL-3.0-or-later
"""The forward model in plain torch: dense, slow, and written to be checked by eye against docs/forward-model.md.

The notation is that of engine/kernels/sprite.h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..colour import LUMA
from ..raster.atlas import LOD_OFFSET, MARGIN, TEXEL_ONE
from ..raster.scene import Scene


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


def _shown(scene: Scene[Tensor], t: Tensor, unlimited: int | None) -> Tensor:
    """[N, H, W, 3]: the premultiplied colors that sprites show at opacity 1, where they sample t [N, H, W, 4]."""
    n, kind, mix = len(scene), t.dtype, scene.mix
    q = t[..., 3:]
    tinted = scene.tint.to(kind).reshape(n, 1, 1, 3) * q
    if not scene.shade or mix == 1:
        return (1 - mix) * tinted + mix * t[..., :3]
    mean = torch.from_numpy(scene.atlas.luma).to(kind)[scene.template.long()].reshape(n, 1, 1, 1)
    light = (t[..., :3] * torch.tensor(LUMA, dtype=kind)).sum(dim=-1, keepdim=True) - mean * q
    shown = (1 - mix) * (tinted + scene.shade * light) + mix * t[..., :3]
    free = (torch.arange(n) == (-1 if unlimited is None else unlimited)).reshape(n, 1, 1, 1)
    return torch.where(free, shown, torch.minimum(shown.clamp(min=0), q))


def composite_tensors(scene: Scene[Tensor], unlimited: int | None = None) -> Tensor:
    """[height, width, 4] in the type of `affine`. Memory grows as sprites x pixels.

    The colors of the sprite `unlimited` are not kept within its alpha where it is shaded, as those of a candidate.
    """
    affine, opacity, template, atlas = scene.affine, scene.opacity, scene.template, scene.atlas
    background, lod_bias, stop = scene.background, scene.lod_bias, scene.stop
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
    colour = o.unsqueeze(-1) * _shown(scene, t, unlimited)

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
