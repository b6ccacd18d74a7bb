# SPDX-License-Identifier: GPL-3.0-or-later
"""Scraps: pieces with torn edges, cut out of larger bitmaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import Float64Array, UInt8Array
from ..bitmaps import bled
from ..files.images import premultiply, straight_from_premultiplied
from .margin import with_margin

if TYPE_CHECKING:
    from . import Template


@dataclass(frozen=True)
class ScrapSettings:
    """What scraps are like.

    Attributes:
        smallest: shorter side of a scrap, texels, at least.
        share: smallest and largest side of a scrap, as fractions of the bitmap's shorter side.
        elongation: largest logarithm of its width over its height.
        tear: depth of the tear, as a fraction of the shorter side.
        fiber: width of the bare paper along the tear, as a fraction of the same.
        paper: brightness of bare paper, 0 to 1.
        texels: of all scraps together, at most.
        tries: of places, to find one that shows something.
        filled: mean alpha of a place that does.
    """

    smallest: int = 24
    share: tuple[float, float] = (0.15, 0.45)
    elongation: float = 0.4
    tear: float = 0.05
    fiber: float = 0.025
    paper: float = 0.95
    texels: int = 128_000_000
    tries: int = 16
    filled: float = 0.7


def scraps(
    templates: Sequence[Template], number: int, seed: int, settings: ScrapSettings = ScrapSettings()
) -> list[Template]:
    """Cut scraps out of templates: the more, the larger one is, and the more it weighs.

    Raises:
        SmaltiError: no template is large enough (code ``"bitmaps_too_small"``).
    """
    least = settings.smallest / settings.share[1]
    large = [t for t in templates if min(t.width, t.height) - 2 >= least]
    if not large:
        raise SmaltiError(
            f"No bitmap is large enough to cut scraps out of it: that takes {np.ceil(least):.0f} pixels a side.",
            "Give larger ones.",
            "bitmaps_too_small",
        )
    rng = np.random.default_rng((seed, 7))
    weight = np.array([t.weight * t.width * t.height for t in large])
    # Shared out to within one, in the order of the bitmaps.
    ends = np.cumsum(weight) / weight.sum()
    sources = np.minimum(np.searchsorted(ends, (np.arange(number) + rng.uniform()) / number), len(large) - 1)
    longest = int(np.sqrt(settings.texels / number))
    return [_scrap(large[index], i + 1, longest, rng, settings) for i, index in enumerate(sources.tolist())]


def _scrap(source: Template, number: int, longest: int, rng: np.random.Generator, settings: ScrapSettings) -> Template:
    from . import Template

    whole = source.rgba[1:-1, 1:-1]
    height, width = whole.shape[:2]
    for _ in range(settings.tries):
        side = min(width, height) * rng.uniform(*settings.share)
        slim = np.exp(0.5 * rng.uniform(-settings.elongation, settings.elongation))
        across, down = (
            int(np.clip(length, settings.smallest, min(most, max(longest, settings.smallest))))
            for length, most in ((side * slim, width), (side / slim, height))
        )
        left, top = rng.integers(0, width - across + 1), rng.integers(0, height - down + 1)
        piece = whole[top : top + down, left : left + across]
        if piece[..., 3].mean() >= 255 * settings.filled:
            break
    return Template(f"{source.name} scrap {number}", bled(with_margin(_torn(piece, rng, settings))))


def _torn(rgba: UInt8Array, rng: np.random.Generator, settings: ScrapSettings) -> UInt8Array:
    """A piece [H, W, 4] with torn edges, along which bare paper shows."""
    height, width = rgba.shape[:2]
    shorter = min(height, width)
    v, u = np.mgrid[0:height, 0:width] + 0.5
    inside = np.full((height, width), np.inf)
    printed = inside.copy()
    for away, along in ((u, v), (width - u, v), (v, u), (height - v, u)):
        at = along.astype(np.int64)
        length = int(at.max()) + 1
        edge = settings.tear * shorter * _rough(length, rng)
        fiber = settings.fiber * shorter * (0.3 + 1.4 * _rough(length, rng))
        inside = np.minimum(inside, away - edge[at])
        printed = np.minimum(printed, away - (edge + fiber)[at])
    alpha, print_share = (np.clip(plane + 0.5, 0, 1)[..., None] for plane in (inside, printed))
    flat = premultiply(rgba).astype(np.float64)
    paper = np.array([settings.paper] * 3 + [1.0]) * flat[..., 3:]
    return straight_from_premultiplied((alpha * (print_share * flat + (1 - print_share) * paper)).astype(np.float32))


def _rough(length: int, rng: np.random.Generator) -> Float64Array:
    """[length + 1]: a rough curve from 0 to 1, of several octaves."""
    at = np.arange(length + 1) / max(length, 1)
    curve = np.zeros(length + 1)
    knots = 3
    while knots <= max(3, length // 3):
        curve += np.interp(at, np.linspace(0, 1, knots + 1), rng.uniform(0, 1, knots + 1)) / knots**0.7
        knots *= 2
    span = np.ptp(curve)
    return np.asarray((curve - curve.min()) / max(span, 1e-9))
