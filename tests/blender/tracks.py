# SPDX-License-Identifier: GPL-3.0-or-later
"""Films made up of numbers: sprites that follow something that moves, with a fit's noise, and a cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import write_job

from smalti.bridge.composition import Header, read_header, write_header
from smalti.bridge.folder import ARRAYS

Array = NDArray[np.float64]


def film_arrays(header: Header, frames: int, cut: int | None = None, noise: float = 0.1) -> dict[str, Any]:
    """As `synthetic.random_arrays`: half of the sprites stand, half swing, stop, turn and glow.

    Args:
        cut: the frame at which all are placed again.
        noise: of places, sizes and rims in those that move, pixels.
    """
    rng = np.random.default_rng(3)
    count = header.sprites
    time = np.arange(frames)[:, None]
    moves = np.arange(count) % 2
    phase, swing = rng.uniform(0, 6, count), rng.uniform(2, 9, count) * moves
    way = np.sin(2 * np.pi * np.minimum(time, 0.7 * frames) / 24 + phase)
    size = np.geomspace(0.2, 0.06, count) * header.width
    shape = (frames, count)

    def off() -> Array:
        return np.asarray(noise * moves * rng.standard_normal(shape))

    start = rng.uniform(0, 1, (2, count))
    arrays: dict[str, Any] = {
        "x": start[0] * header.width + swing * way + off(),
        "y": start[1] * header.height + 0.5 * swing * way**2 + off(),
        "scale": size * (1 + 0.1 * moves * way) + off(),
        "aspect": np.zeros(shape),
        "theta": rng.uniform(-3, 3, count) + 0.3 * moves * way + off() / size,
        "opacity": np.clip(0.8 + 0.1 * moves * way, 0, 1),
        "tint": np.clip(rng.uniform(0, 1, (count, 3)) + (0.05 * moves * way + 0.001 * off())[..., None], 0, 1),
    }
    if cut is not None:
        for name, scale in (("x", header.width), ("y", header.height)):
            arrays[name][cut:] += (rng.uniform(0, 1, count) - start["xy".index(name)]) * scale
        arrays["theta"][cut:] += 40.0
    return {
        "template": rng.integers(0, len(header.templates), count).astype(np.int32),
        **{name: values.astype(np.float32) for name, values in arrays.items()},
    }


def write_film(folder: Path, count: int = 40, frames: int = 40, cut: int | None = None, **settings: Any) -> Header:
    """Write a finished job of such a film, without pictures."""
    write_job(folder, count=count, frames=1, pictures=False, **settings)
    header = replace(read_header(folder), frames=frames)
    np.savez(folder / ARRAYS, **film_arrays(header, frames, cut))
    write_header(folder, header)
    return header
