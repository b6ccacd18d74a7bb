# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the example targets: ``python examples/draw_target.py`` writes target/lighthouse.png and frames/*.png.

A lighthouse above the sea at sunset, out of formulas alone; in the frames the sun sinks and gulls cross it. The same
NumPy and Pillow give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]

OVERSAMPLING = 3
FRAMES = 12
HERE = Path(__file__).resolve().parent

HORIZON = 0.66
LAND_SEED, CLOUD_SEED, SEA_SEED = 3, 5, 7


def step(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high` (or the reverse where low is above high), smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def ramp(value: Array, *stops: tuple[float, str]) -> Array:
    """`value` as a color between the given (place, #rrggbb): [..., 3]."""
    rgb = [[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, colour in stops]
    return np.stack([np.interp(value, [place for place, _ in stops], [c[i] for c in rgb]) for i in range(3)], -1)


def over(picture: Array, colour: Array | str, alpha: Array) -> Array:
    """`colour` laid over `picture`."""
    paint = ramp(np.zeros(1), (0, colour)) if isinstance(colour, str) else colour
    return picture + np.clip(alpha, 0, 1)[..., None] * (paint - picture)


class Noise:
    """Smooth noise, about -1 to 1, that is the same for one seed at every picture size."""

    def __init__(self, seed: int) -> None:
        self.table = np.random.default_rng(seed).uniform(-1, 1, (64, 64))

    def __call__(self, x: Array, y: Array, octaves: int = 1) -> Array:
        total = np.zeros(np.broadcast(x, y).shape)
        for octave in range(octaves):
            px, py = x * 2**octave + 17.3 * octave, y * 2**octave + 5.7 * octave
            ix, iy = np.floor(px).astype(int), np.floor(py).astype(int)
            fx, fy = px - ix, py - iy
            fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
            corner = [[self.table[(iy + j) % 64, (ix + i) % 64] for i in (0, 1)] for j in (0, 1)]
            top = corner[0][0] + fx * (corner[0][1] - corner[0][0])
            bottom = corner[1][0] + fx * (corner[1][1] - corner[1][0])
            total += (top + fy * (bottom - top)) / 2**octave
        return total


def sky(x: Array, y: Array, sun: tuple[float, float], time: float) -> Array:
    """Dusk from violet to gold, a great sun, and bars of cloud that it lights from below."""
    height = y / HORIZON
    picture = ramp(
        height,
        (0.0, "#1f2a63"),
        (0.28, "#5a3f8f"),
        (0.52, "#c2527f"),
        (0.74, "#f4824f"),
        (0.90, "#fdb659"),
        (1.0, "#ffe08a"),
    )
    later = ramp(
        height,
        (0.0, "#161c48"),
        (0.28, "#43307a"),
        (0.52, "#9a3d78"),
        (0.74, "#cf4f52"),
        (0.90, "#e2653f"),
        (1.0, "#ee8145"),
    )
    picture += time * (later - picture)
    away = np.hypot(x - sun[0], y - sun[1])
    picture = over(picture, "#ffd27a", (0.75 - 0.5 * time) * np.exp(-((away / 0.30) ** 2)))
    disc = ramp(np.full(1, time), (0, "#fff1b8"), (1, "#ffdc7a"))
    picture = over(picture, disc, step(0.172, 0.168, away))
    noise = Noise(CLOUD_SEED)
    streak = noise(x * 2.2 + 0.6 * y, y * 13, 4)
    bars = streak + 0.55 * np.sin(y * 26 + 1.2 * noise(x * 1.3, y * 2)) - 0.10
    cover = step(0.15, 0.75, bars) * step(1.0, 0.86, height) * step(0.02, 0.16, height)
    lit = noise(x * 2.2 + 0.6 * y, (y + 0.016) * 13, 4) + 0.55 * np.sin((y + 0.016) * 26 + 1.2 * noise(x * 1.3, y * 2))
    lit = step(-0.35, 0.55, bars + 0.10 - lit) * np.exp(-((away / 0.75) ** 2))
    shade = ramp(height, (0.1, "#33326f"), (0.45, "#6b3f83"), (0.75, "#a1496f"), (1.0, "#c8605c"))
    cloud = over(shade, "#ffbf70", 0.95 * lit)
    return over(picture, cloud, 0.88 * cover)


def sea(x: Array, y: Array, sun: tuple[float, float], time: float) -> Array:
    """Darker towards the shore, with the sun's path on the waves."""
    depth = (y - HORIZON) / (1 - HORIZON)
    picture = ramp(depth, (0.0, "#e58a62"), (0.07, "#a65b78"), (0.3, "#4b3f82"), (0.65, "#223a72"), (1.0, "#12264f"))
    noise = Noise(SEA_SEED)
    flat = 1 / (0.05 + np.clip(depth, 0, 1))
    wave = noise(x * (3 + 6 * flat) + 3 * time, depth * 60 / (0.5 + depth) + time, 3)
    picture = over(picture, "#e0708a", 0.45 * step(0.35, 1.1, wave) * step(0.75, 0.0, depth))
    picture = over(picture, "#0c1c40", 0.4 * step(0.3, 1.1, -wave))
    spread = 0.05 + 0.20 * np.sqrt(np.clip(depth, 0, 1))
    path = np.exp(-(((x - sun[0] + 0.03 * wave) / spread) ** 2))
    picture = over(picture, "#ff9f4f", 0.65 * path * step(-0.7, 0.5, wave))
    picture = over(picture, "#fff0b0", path**1.5 * step(0.0, 0.6, wave) * step(1.1, 0.4, depth))
    return over(picture, "#ffe9a8", 0.8 * step(0.03, 0.0, depth) * np.exp(-(((x - sun[0]) / 0.24) ** 2)))


def land(picture: Array, x: Array, y: Array) -> Array:
    """A cliff on the right with grass on top, foam at its feet, and a far headland on the left."""
    noise = Noise(LAND_SEED)
    far = HORIZON - 0.045 * step(-0.42, -0.75, x) - 0.012 * noise(x * 9, x * 0, 3) * step(-0.38, -0.5, x)
    picture = over(picture, "#8a4a72", step(-0.002, 0.002, y - far) * (y < HORIZON) * step(-0.38, -0.40, x))
    # The cliff is where x lies to the right of its face, and y below its top.
    ragged = 0.030 * noise(y * 9, x * 3, 4)
    face = 0.09 + 0.17 * step(1.0, 0.55, y) + ragged + 0.05 * np.sin(11 * y)
    top = 0.535 + 0.02 * np.sin(4.2 * x) - 0.05 * step(0.3, 0.75, x) + 0.008 * noise(x * 14, x * 0, 3)
    top = top + 0.16 * step(0.34, 0.20, x)
    inside = np.minimum(x - face, y - top)
    rock = noise(x * 7 + y * 4, y * 4 - x * 5, 4) + 0.5 * noise(x * 26, y * 9, 2)
    stone = ramp(rock - 2.2 * (x - face) + 0.5, (-1.2, "#1a1530"), (0.0, "#3a2748"), (0.7, "#7d4656"), (1.3, "#e0845c"))
    picture = over(picture, stone, step(-0.001, 0.003, inside))
    blades = noise(x * 40, y * 18, 3) - 2.0 * (x - 0.30) + 0.6
    turf = ramp(blades, (-0.9, "#173a2c"), (0.2, "#3f6a2c"), (1.0, "#b9a03f"))
    deep = y - top + 0.018 * noise(x * 22, y * 8, 3)
    picture = over(picture, turf, step(-0.001, 0.003, inside) * step(0.055, 0.030, deep))
    spray = step(0.80, 0.86, y) * step(-0.35, 0.35, noise(x * 30, y * 34, 3))
    picture = over(picture, "#f6d9d0", 0.9 * spray * np.exp(-(((x - face + 0.012) / 0.020) ** 2)))
    for cx, cy, size in ((-0.05, 0.890, 0.050), (0.05, 0.935, 0.075), (-0.15, 0.950, 0.035)):
        bulk = size * (1 + 0.25 * noise(x * 16, y * 16, 3)) - np.hypot(x - cx, 1.5 * (y - cy))
        boulder = ramp((cx - x) / size + 0.5 * rock, (-1.0, "#15122a"), (0.3, "#40294a"), (1.2, "#c9735a"))
        picture = over(picture, "#f0cfc8", 0.8 * step(-0.016, -0.002, bulk) * (y > cy))
        picture = over(picture, boulder, step(-0.001, 0.003, bulk))
    return picture


def lighthouse(picture: Array, x: Array, y: Array) -> Array:
    """A white tower with red bands, its lamp lit, and the keeper's house."""
    foot, head, middle = 0.56, 0.175, 0.47
    half = 0.030 + 0.024 * (y - head) / (foot - head)
    across = (x - middle) / half

    def box(x0: float, x1: float, y0: float, y1: float) -> Array:
        sharp = 0.0015
        return (
            step(x0 - sharp, x0 + sharp, x)
            * step(x1 + sharp, x1 - sharp, x)
            * step(y0 - sharp, y0 + sharp, y)
            * step(y1 + sharp, y1 - sharp, y)
        )

    # The house stands behind the tower.
    wall = ramp(x, (0.52, "#ffe3c0"), (0.68, "#c99a9a"))
    picture = over(picture, wall, box(0.53, 0.68, 0.455, 0.545))
    roof = step(-0.001, 0.002, y - 0.395 - 0.85 * np.maximum(np.abs(x - 0.605) - 0.045, 0)) * (y < 0.458)
    picture = over(picture, ramp(x, (0.52, "#d8412f"), (0.69, "#7a2038")), roof * box(0.515, 0.695, 0.3, 0.458))
    picture = over(picture, "#4a2a4a", box(0.635, 0.652, 0.375, 0.43))
    for left in (0.555, 0.61):
        picture = over(picture, "#ffd766", box(left, left + 0.026, 0.480, 0.512))

    tower = step(1.02, 0.98, np.abs(across)) * (y > head) * (y < foot)
    bands = step(-0.04, 0.04, np.sin((y - head) / (foot - head) * np.pi * 5.0 + 0.2))
    light = np.sqrt(np.clip(1 - np.clip(across + 0.35, -1, 1) ** 2, 0, 1))
    white = ramp(light, (0.0, "#5d4a78"), (0.5, "#e6bfb0"), (1.0, "#fff6e2"))
    red = ramp(light, (0.0, "#4a1236"), (0.5, "#bf2a33"), (1.0, "#ff5a3c"))
    picture = over(picture, over(white, red, bands), tower)
    for place in (0.285, 0.405):
        picture = over(picture, "#3a2350", box(middle - 0.007, middle + 0.007, place, place + 0.024))
    # Gallery, lantern and roof.
    picture = over(picture, "#2b1d3f", box(middle - 0.050, middle + 0.050, head - 0.006, head + 0.010))
    picture = over(picture, "#2b1d3f", box(middle - 0.050, middle + 0.050, head - 0.030, head - 0.026))
    for post in np.linspace(-0.048, 0.048, 7):
        picture = over(picture, "#2b1d3f", box(middle + post - 0.0015, middle + post + 0.0015, head - 0.030, head))
    picture = over(picture, "#ffe680", box(middle - 0.023, middle + 0.023, head - 0.064, head - 0.006))
    picture = over(picture, "#2b1d3f", box(middle - 0.002, middle + 0.002, head - 0.064, head - 0.006))
    dome = 0.034 - np.hypot(x - middle, (y - head + 0.062) * 1.0)
    picture = over(
        picture,
        ramp(x, (middle - 0.03, "#e0473a"), (middle + 0.03, "#6d1a3a")),
        step(-0.001, 0.001, dome) * (y < head - 0.060),
    )
    picture = over(picture, "#2b1d3f", box(middle - 0.002, middle + 0.002, head - 0.125, head - 0.090))
    away = np.hypot(x - middle, y - head + 0.036)
    return over(picture, "#fff3b0", 0.85 * np.exp(-((away / 0.040) ** 2)))


def gulls(picture: Array, x: Array, y: Array, birds: list[tuple[float, float, float, float]]) -> Array:
    """Birds as (x, y, size, lift of the wings)."""
    for cx, cy, size, lift in birds:
        u, v = (x - cx) / size, (y - cy) / size
        wing = -lift * (1 - (np.abs(u) - 0.45) ** 2 * 3.2) + 0.35 * lift
        thick = 0.11 * np.clip(1 - np.abs(u), 0, 1) ** 0.7 + 0.06 * np.exp(-((u / 0.12) ** 2))
        picture = over(picture, "#2a1a3c", step(-0.03, 0.03, thick - np.abs(v - wing)) * (np.abs(u) < 1))
    return picture


def scene(width: int, height: int, time: float) -> Image.Image:
    """The picture at `time` 0 to 1, in pixels of `width` x `height`."""
    rows, columns = height * OVERSAMPLING, width * OVERSAMPLING
    y = (np.arange(rows) + 0.5)[:, None] / rows * np.ones((1, columns))
    x = ((np.arange(columns) + 0.5)[None, :] - columns / 2) / rows * np.ones((rows, 1))
    sun = (-0.20, 0.475 + 0.20 * time)
    picture = np.where((y < HORIZON)[..., None], sky(x, y, sun, time), sea(x, y, sun, time))
    picture = lighthouse(land(picture, x, y), x, y)
    flock = [(-0.52, 0.26, 0.045, 0.0), (-0.40, 0.205, 0.034, 1.3), (-0.05, 0.17, 0.028, 2.6)]
    birds = [
        (cx + 0.55 * time, cy + 0.03 * np.sin(5 * time + phase), size, 0.30 + 0.28 * np.sin(9 * time + phase))
        for cx, cy, size, phase in flock
    ]
    picture = gulls(picture, x, y, birds) * (1 - time * np.array((0.08, 0.14, 0.10)))
    pixels = picture.reshape(height, OVERSAMPLING, width, OVERSAMPLING, 3).mean((1, 3))
    return Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def main() -> None:
    """Draw the still and the frames."""
    for folder in ("target", "frames"):
        (HERE / folder).mkdir(exist_ok=True)
    scene(960, 640, 0.0).save(HERE / "target" / "lighthouse.png", optimize=True)
    for number in range(FRAMES):
        scene(320, 180, number / (FRAMES - 1)).save(HERE / "frames" / f"{number + 1:02d}.png", optimize=True)


if __name__ == "__main__":
    main()
