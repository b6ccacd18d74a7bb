# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a picture is like its target: PSNR, SSIM, MS-SSIM, GMSD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from smalti.engine.arrays import Float64Array, UInt8Array
from smalti.engine.composition import Composition
from smalti.engine.files.images import read_image

METRICS = ("psnr", "ssim", "ms_ssim", "gmsd")


def target_of(path: Path, composition: Composition) -> UInt8Array:
    """[height, width, 3]: a picture file at the size of a composition, as a fit reads it (with its color profile)."""
    size = composition.header.width, composition.header.height
    return np.asarray(Image.fromarray(read_image(path)[..., :3]).resize(size, Image.Resampling.LANCZOS))


def psnr(rendered: UInt8Array, target: UInt8Array) -> float:
    """Peak signal-to-noise ratio of two pictures of one shape, dB."""
    difference = (rendered.astype(np.float64) - target) / 255
    return float(-10 * np.log10(np.square(difference).mean()))


def gmsd(a: Float64Array, b: Float64Array) -> float:
    """Gradient magnitude similarity deviation (Xue et al., 2014) of two gray pictures, 0 to 255; 0 for equal ones."""

    def reduced(plane: Float64Array) -> Float64Array:
        height, width = (side // 2 * 2 for side in plane.shape)
        p = plane[:height, :width]
        return (p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4

    def magnitude(plane: Float64Array) -> Float64Array:
        # Prewitt's operator.
        p = np.pad(plane, 1, mode="edge")
        dx = (p[:-2, :-2] + p[1:-1, :-2] + p[2:, :-2] - p[:-2, 2:] - p[1:-1, 2:] - p[2:, 2:]) / 3
        dy = (p[:-2, :-2] + p[:-2, 1:-1] + p[:-2, 2:] - p[2:, :-2] - p[2:, 1:-1] - p[2:, 2:]) / 3
        return np.hypot(dx, dy)

    one, other = magnitude(reduced(a)), magnitude(reduced(b))
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    return float(similarity.std())


def measures(rendered: UInt8Array, target: UInt8Array) -> dict[str, float]:
    """`METRICS` of two pictures [height, width, 3]: PSNR in dB, SSIM and MS-SSIM up to 1, GMSD (smaller is better)."""
    a, b = (p.astype(np.float64) / 255 for p in (rendered, target))
    one, other = (torch.from_numpy(p).permute(2, 0, 1).unsqueeze(0).float() for p in (a, b))
    similarity = structural_similarity_index_measure(preds=one, target=other, data_range=1.0)
    assert isinstance(similarity, torch.Tensor)  # with other arguments it is two of them
    at_all_scales = multiscale_structural_similarity_index_measure(preds=one, target=other, data_range=1.0)
    gray = [255 * p @ np.array([0.299, 0.587, 0.114]) for p in (a, b)]
    return {
        "psnr": psnr(rendered, target),
        "ssim": float(similarity),
        "ms_ssim": float(at_all_scales),
        "gmsd": gmsd(gray[0], gray[1]),
    }
