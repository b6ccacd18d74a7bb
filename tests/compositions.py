# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositions made up of numbers, and bitmaps and a target for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jobs import ramp
from numpy.typing import NDArray

from smalti.bridge.composition import Header, TemplateFile
from smalti.engine.composition import Composition
from smalti.engine.templates import Template
from smalti.engine.templates.text import text_templates

WIDTH, HEIGHT = 320, 256


def composition(templates: list[Template], size: tuple[int, int] = (WIDTH, HEIGHT), **values: Any) -> Composition:
    """A still. `values`: the header's, or [N] or [F, N] numbers of its sprites; x tells how many there are."""
    x = np.atleast_2d(np.asarray(values["x"], np.float32))
    usual = {"y": 0, "scale": 16, "aspect": 0, "theta": 0, "opacity": 1}
    arrays: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(values.get(name, value), np.float32), x.shape).copy()
        for name, value in usual.items()
    }
    arrays["tint"] = np.broadcast_to(np.asarray(values.get("tint", 0.9), np.float32), (*x.shape, 3)).copy()
    template = np.arange(x.shape[1]) % len(templates)
    header = Header(
        *size,
        x.shape[1],
        len(x),
        "srgb",
        values.get("colour_mix", 0.0),
        values.get("background", "#204060"),
        24.0,
        tuple(TemplateFile(t.name, f"templates/{t.name}.png", t.width, t.height) for t in templates),
        "0.1.0",
    )
    return Composition(header, templates, values.get("template", template).astype(np.int32), x=x, **arrays)


def letters() -> list[Template]:
    return text_templates("SMALTIXO")


def grid(columns: int = 8, rows: int = 6, pitch: float = 40.0) -> dict[str, Any]:
    """x and y of sprites side by side."""
    y, x = np.divmod(np.arange(columns * rows), columns)
    return {"x": (x + 0.5) * pitch, "y": (y + 0.5) * pitch}


def scattered(count: int) -> dict[str, Any]:
    """Poses of sprites all over the canvas."""
    rng = np.random.default_rng(5)
    return {
        "x": rng.uniform(0, WIDTH, count),
        "y": rng.uniform(0, HEIGHT, count),
        "theta": rng.uniform(-3, 3, count),
        "tint": rng.uniform(0, 1, (count, 3)),
    }


def opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w, 4] of [h, w, 3]."""
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def target(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """[height, width, 4]: colors that change smoothly."""
    return opaque(ramp(width, height))
