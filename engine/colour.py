# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion between the two blend spaces: sRGB-encoded values, as in files, and linear light (IEC 61966-2-1).

Compositing takes place in the space of the values given; only reading and writing pictures converts.
"""

from __future__ import annotations

import numpy as np

from smalti.bridge.job import BlendSpace

from .arrays import Float32Array, FloatArray

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in luma (Rec. 709): in linear light it is luminance. `kRedLuma` and others in
engine/kernels/blend.h."""


def linear_from_srgb(encoded: FloatArray) -> Float32Array:
    """Linear light of sRGB-encoded values, 0 to 1, any shape."""
    encoded = np.asarray(encoded, np.float32)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb_from_linear(linear: FloatArray) -> Float32Array:
    """sRGB-encoded values of linear light, 0 to 1, any shape; values below 0 count as 0."""
    linear = np.maximum(np.asarray(linear, np.float32), 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def srgb_slope(linear: FloatArray) -> Float32Array:
    """The slope of `srgb_from_linear`, any shape."""
    safe = np.maximum(np.asarray(linear, np.float32), np.float32(0.0031308))
    return np.where(linear <= 0.0031308, 12.92, 1.055 / 2.4 * safe ** (1 / 2.4 - 1)).astype(np.float32)


def into_space(premultiplied: FloatArray, space: BlendSpace) -> Float32Array:
    """[..., 4] premultiplied in `space`, of [..., 4] premultiplied sRGB-encoded values."""
    pixels = np.asarray(premultiplied, np.float32)
    if space == "srgb":
        return pixels
    alpha = pixels[..., 3:]
    straight = pixels[..., :3] / np.maximum(alpha, 1e-6)
    return np.concatenate([linear_from_srgb(straight) * alpha, alpha], axis=-1)


def out_of_space(premultiplied: FloatArray, space: BlendSpace) -> Float32Array:
    """[..., 4] premultiplied sRGB-encoded, of [..., 4] premultiplied values in `space`: the inverse of `into_space`."""
    pixels = np.asarray(premultiplied, np.float32)
    if space == "srgb":
        return pixels
    alpha = pixels[..., 3:]
    straight = pixels[..., :3] / np.maximum(alpha, 1e-6)
    return np.concatenate([srgb_from_linear(straight) * alpha, alpha], axis=-1)


def parse_hex(color: str) -> tuple[float, float, float]:
    """Red, green and blue of ``"#rrggbb"``, sRGB-encoded, 0 to 1."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def hex_of(color: FloatArray) -> str:
    """``"#rrggbb"`` of an sRGB-encoded color [3], 0 to 1, rounded."""
    return "#" + "".join(f"{round(float(np.clip(c, 0, 1)) * 255):02x}" for c in color[:3])
