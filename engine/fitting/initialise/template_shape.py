# SPDX-License-Identifier: GPL-3.0-or-later
"""What initialisation needs to know of a template: how much of it is covered, its long axis, its mean color."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray


@dataclass(frozen=True)
class TemplateShape:
    """Measures of one template.

    Attributes:
        width, height: texels.
        coverage: mean alpha, 0 to 1.
        axis: angle of the long axis of its alpha, radians, +x towards +y.
        elongation: 0 for a disc or a square, towards 1 for a line.
        color: mean RGB, straight, in the blend space.
    """

    width: int
    height: int
    coverage: float
    axis: float
    elongation: float
    color: tuple[float, float, float]


def measure_template(premultiplied: FloatArray) -> TemplateShape:
    """Measure a template, [height, width, 4] premultiplied in the blend space, by the moments of its alpha."""
    height, width = premultiplied.shape[:2]
    alpha = premultiplied[..., 3].astype(np.float64)
    total = max(alpha.sum(), 1e-9)
    y, x = np.ogrid[0:height, 0:width]
    x, y = x - (alpha * x).sum() / total, y - (alpha * y).sum() / total
    xx, yy, xy = (alpha * x * x).sum() / total, (alpha * y * y).sum() / total, (alpha * x * y).sum() / total
    spread, mean = np.hypot(0.5 * (xx - yy), xy), 0.5 * (xx + yy)
    minor, major = max(mean - spread, 0.0), mean + spread
    color = premultiplied[..., :3].reshape(-1, 3).sum(axis=0, dtype=np.float64) / total
    return TemplateShape(
        width,
        height,
        float(total / alpha.size),
        float(0.5 * np.arctan2(2 * xy, xx - yy)),
        float(1 - np.sqrt(minor / major)) if major > 0 else 0.0,
        (float(color[0]), float(color[1]), float(color[2])),
    )
