# SPDX-License-Identifier: GPL-3.0-or-later
"""Other shapes of templates: their outlines alone, or fading towards their edges."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import Float64Array, UInt8Array
from ..bitmaps import bled
from . import Template

logger = logging.getLogger(__name__)


def shaped(templates: Sequence[Template], outline: float, fade: float) -> list[Template]:
    """Templates of which only the outline is left, or that fade out.

    Args:
        templates: whole ones.
        outline: thickness of the outline as a fraction of a template's longer side; 0 keeps templates whole.
        fade: how much of the way from the center to the edge is faded, 0 to 1; 0 fades nothing.

    Raises:
        SmaltiError: nothing is left of any (code ``"bitmap_transparent"``). Those of which nothing is left are left out
            with one warning each.
    """
    if outline == 0 and fade == 0:
        return list(templates)
    result = []
    for template in templates:
        rgba = template.rgba.copy()
        if outline > 0:
            # What is half opaque counts as inside, so that veins and grain within are no outlines.
            solid = np.minimum(rgba[..., 3].astype(np.int64) * 2, 255).astype(np.uint8)
            inside = _eroded(solid, max(1, round(outline * max(template.width, template.height))))
            rgba[..., 3] = np.rint(rgba[..., 3] * (1 - inside / 255))
        if fade > 0:
            rgba[..., 3] = np.rint(rgba[..., 3] * _fading(template.height, template.width, fade))
        if rgba[..., 3].any():
            result.append(replace(template, rgba=bled(rgba)))
        else:
            logger.warning("Left out: nothing is left of the bitmap %s when it is faded.", template.name)
    if not result:
        raise SmaltiError("Nothing is left of any bitmap when it is faded.", "Fade less.", "bitmap_transparent")
    return result


def _eroded(alpha: UInt8Array, radius: int) -> UInt8Array:
    """[H, W]: the least alpha within a disc about each texel; beyond the bitmap it is 0."""
    height = len(alpha)
    result = np.full_like(alpha, 255)
    for down in range(-radius, radius + 1):
        across = int((radius**2 - down**2) ** 0.5)
        row = _least_along_rows(alpha, across)
        moved = np.zeros_like(alpha)
        if abs(down) < height:
            moved[max(-down, 0) : height - max(down, 0)] = row[max(down, 0) : height - max(-down, 0)]
        np.minimum(result, moved, out=result)
    return result


def _least_along_rows(alpha: UInt8Array, reach: int) -> UInt8Array:
    """[H, W]: the least alpha within `reach` texels to the left and right."""
    length, done = 2 * reach + 1, 1
    least = np.pad(alpha, ((0, 0), (reach, reach)))
    while done < length:  # windows of twice the length, until they are long enough
        step = min(done, length - done)
        least = np.minimum(least[:, : least.shape[1] - step], least[:, step:])
        done += step
    return np.ascontiguousarray(least)


def _fading(height: int, width: int, fade: float) -> Float64Array:
    """[H, W]: 1 in the middle, 0 at the edge of the ellipse in the rectangle and outside of it, smooth between them."""
    y, x = np.mgrid[-1 + 1 / height : 1 - 1 / height : height * 1j, -1 + 1 / width : 1 - 1 / width : width * 1j]
    way = np.clip((1 - np.hypot(x, y)) / fade, 0, 1)
    return np.asarray(way**2 * (3 - 2 * way))
