# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the example bitmaps: ``python examples/draw_primitives.py`` writes primitives/ and studio/ beside this file.

Every picture is a few formulas over a grid of points, drawn four times as large and reduced, with soft alpha. Each has
its own seed, so the same NumPy and Pillow give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.float64]

OVERSAMPLING = 4
HERE = Path(__file__).resolve().parent


class Sheet:
    """A grid of points: x to the right and y up, in units of half the longer side, and a source of noise."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.width, self.height = width * OVERSAMPLING, height * OVERSAMPLING
        self.unit = max(self.width, self.height) / 2
        row, column = np.mgrid[0 : self.height, 0 : self.width] + 0.5
        self.x, self.y = (column - self.width / 2) / self.unit, (self.height / 2 - row) / self.unit
        self.random = np.random.default_rng(seed)

    def noise(self, grain_x: float, grain_y: float | None = None, octaves: int = 1) -> Array:
        """Smooth noise, about -1 to 1, with details of the size `grain` (in the units of x and y)."""
        total = np.zeros((self.height, self.width))
        for octave in range(octaves):
            cells = [
                max(2, round(2**octave * length / (grain * self.unit)) + 3)
                for length, grain in ((self.height, grain_y or grain_x), (self.width, grain_x))
            ]
            coarse = Image.fromarray(self.random.uniform(-1, 1, cells).astype(np.float32))
            total += np.asarray(coarse.resize((self.width, self.height), Image.Resampling.BICUBIC)) / 2**octave
        return total

    def polygon(self, points: Array) -> Array:
        """1 inside the polygon with corners `points` [N, 2], 0 outside."""
        mask = Image.new("L", (self.width, self.height))
        corners = points * (self.unit, -self.unit) + (self.width / 2, self.height / 2)
        ImageDraw.Draw(mask).polygon([(float(a), float(b)) for a, b in corners], fill=255)
        return np.asarray(mask) / 255.0

    def save(self, path: Path, rgb: Array, alpha: Array) -> None:
        """Reduce, with colors weighted by alpha, and write a PNG."""
        alpha = np.clip(alpha, 0, 1)[..., None]
        whole = np.concatenate([np.clip(rgb, 0, 1) * alpha, alpha], -1)
        size = self.height // OVERSAMPLING, OVERSAMPLING, self.width // OVERSAMPLING, OVERSAMPLING, 4
        small = whole.reshape(size).mean((1, 3))
        colour = np.divide(small[..., :3], small[..., 3:], out=np.zeros_like(small[..., :3]), where=small[..., 3:] > 0)
        # Steps of 1/64 in color are invisible here and halve the file.
        pixels = np.concatenate([np.round(colour * 63) / 63, small[..., 3:]], -1)
        Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(path, optimize=True)


def step(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def ridge(distance: Array, width: Array | float) -> Array:
    """1 where the distance is 0, falling off over `width`."""
    return np.exp(-((distance / width) ** 2))


def ramp(value: Array, *colours: tuple[float, float, float]) -> Array:
    """`value` 0 to 1 as a color between the given ones, evenly spaced: [..., 3]."""
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(value, places, [c[i] for c in colours]) for i in range(3)], -1)


def to_segments(x: Array, y: Array, points: Array) -> tuple[Array, Array]:
    """Distance to an open polygon `points` [N, 2], and how far along it (0 to 1) its nearest point lies."""
    best, along = np.full(x.shape, np.inf), np.zeros(x.shape)
    count = len(points) - 1
    for i in range(count):
        (ax, ay), (bx, by) = points[i], points[i + 1]
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        distance = np.hypot(x - ax - t * dx, y - ay - t * dy)
        nearer = distance < best
        best, along = np.where(nearer, distance, best), np.where(nearer, (i + t) / count, along)
    return best, along


def to_sides(x: Array, y: Array, corners: Array) -> Array:
    """Distances to the four sides of a convex quadrangle with anticlockwise `corners`, positive inside: [4, ...]."""
    distances = []
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0)):
        distances.append(((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / np.hypot(bx - ax, by - ay))
    return np.stack(distances)


def s_curve(value: Array) -> Array:
    """-1 to 1, pushed towards the ends."""
    return np.tanh(2 * value)


def beech(path: Path) -> None:
    """An oval leaf with a toothed edge, its blade raised between the side veins."""
    s = Sheet(460, 270, 1)
    y = s.y - 0.10 * np.cos(s.x * 2.2) + 0.06
    along = (s.x + 0.78) / 1.74
    inside = np.clip(along, 0, 1)
    side = np.abs(y)
    vein = 11 * (along - 0.62 * side - 0.25 * side**2)
    tooth = vein - np.floor(vein)
    half_width = 0.50 * np.sin(np.pi * inside**0.82) ** 0.78 * (1 + 0.05 * tooth)
    edge = half_width - side + 0.006 * s.noise(0.05)
    blade = step(-0.004, 0.010, edge) * (along > 0) * (along < 1)
    stem_distance, stem_along = to_segments(s.x, y, np.array([(-0.96, -0.06), (-0.87, -0.02), (-0.70, 0.0)]))
    stem = step(0.0, 0.008, 0.020 - 0.006 * stem_along - stem_distance)
    midrib = ridge(y, 0.020 * (1.05 - inside))
    side_vein = ridge(tooth - 0.5 - 0.5 * np.sign(tooth - 0.5), 0.085) * step(0.0, 0.05, side)
    bulge = np.sin(np.pi * tooth) ** 0.7
    lit = np.where(y > 0, 0.10, -0.06) * step(0, 0.04, side)
    net = s.noise(0.035, octaves=2)
    light = 0.46 + 0.20 * bulge + lit + 0.04 * net + 0.09 * s.noise(0.6) - 0.22 * step(0.10, 0.0, edge) * 0.7
    light = light + 0.30 * side_vein + 0.42 * midrib
    colour = ramp(light, (0.24, 0.10, 0.04), (0.72, 0.36, 0.10), (0.96, 0.76, 0.34))
    colour = np.where((stem > blade)[..., None], np.array((0.37, 0.21, 0.08)), colour)
    s.save(path, colour, np.maximum(blade * (1 - 0.25 * side_vein * (1 - midrib)), stem))


def willow(path: Path) -> None:
    """A long narrow leaf, folded along its midrib."""
    s = Sheet(480, 120, 2)
    y = s.y - 0.07 * np.sin(s.x * 2.6 + 0.4) - 0.01
    along = np.clip((s.x + 0.90) / 1.88, 0, 1)
    half_width = 0.150 * np.sin(np.pi * along**0.75) ** 0.9
    edge = half_width - np.abs(y) + 0.003 * s.noise(0.03)
    blade = step(-0.003, 0.007, edge) * (along > 0) * (along < 1)
    stem = step(0.0, 0.006, 0.013 - np.abs(y)) * (s.x < -0.7) * (s.x > -0.985)
    fine = 26 * (along - 1.4 * np.abs(y))
    veins = ridge(np.abs(fine - np.round(fine)), 0.16)
    midrib = ridge(y, 0.013)
    light = 0.45 + np.where(y > 0, 0.16, -0.10) * step(0, 0.015, np.abs(y)) + 0.10 * veins + 0.08 * s.noise(0.35)
    light = light + 0.40 * midrib + 0.05 * s.noise(0.02) - 0.15 * step(0.03, 0.0, edge)
    colour = ramp(light, (0.13, 0.16, 0.05), (0.48, 0.50, 0.16), (0.86, 0.84, 0.46))
    s.save(path, colour, np.maximum(blade, stem))


def ginkgo(path: Path) -> None:
    """A fan with a notch, a wavy edge and veins that fork towards it."""
    s = Sheet(440, 400, 3)
    x, y = s.x, s.y + 0.42
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    wave = 0.020 * np.sin(15 * angle + 1.0) + 0.014 * np.sin(31 * angle) + 0.012 * np.sin(7 * angle + 2)
    notch = 0.36 * ridge(angle + 0.04, 0.055) + 0.08 * ridge(angle + 0.04, 0.25) + 0.07 * ridge(angle - 0.62, 0.03)
    reach = 1.16 - 0.16 * (angle / 1.3) ** 2 + wave - notch
    flank = 1.28 - 0.50 * (radius - 0.55) ** 2 - np.abs(angle)
    edge = np.minimum(reach - radius, flank * np.maximum(radius, 0.03))
    blade = step(-0.004, 0.012, edge)
    stem_distance, stem_along = to_segments(x, y, np.array([(0.10, -0.56), (0.06, -0.36), (0.02, -0.16), (0.0, 0.04)]))
    stem = step(0.0, 0.008, 0.024 - 0.006 * stem_along - stem_distance)
    warped = angle + 0.012 * s.noise(0.25)
    veins = np.zeros_like(x)
    for count, begin in ((16, 0.0), (32, 0.26), (64, 0.62)):
        phase = warped * count / 2.6 + 0.5 * (count == 16)
        veins = np.maximum(veins, ridge(np.abs(phase - np.round(phase)), 0.20) * step(begin, begin + 0.14, radius))
    fold = 0.12 * np.sin(9 * warped + 0.8) * step(0.1, 0.9, radius)
    light = 0.58 + fold + 0.15 * veins + 0.07 * s.noise(0.5) + 0.03 * s.noise(0.02) - 0.16 * step(0.06, 0.0, edge)
    light = light + 0.16 * step(0.35, 0.0, radius)
    colour = ramp(light, (0.45, 0.27, 0.03), (0.90, 0.68, 0.12), (1.0, 0.93, 0.52))
    s.save(path, colour, np.maximum(blade * (1 - 0.12 * (1 - veins)), stem))


def maple(path: Path) -> None:
    """Five pointed lobes, each with its vein."""
    s = Sheet(440, 440, 4)
    right = np.array(
        [
            (0.00, 0.97),
            (0.09, 0.78),
            (0.15, 0.66),
            (0.26, 0.71),
            (0.23, 0.55),
            (0.20, 0.38),
            (0.22, 0.22),
            (0.37, 0.36),
            (0.47, 0.47),
            (0.54, 0.53),
            (0.57, 0.40),
            (0.66, 0.43),
            (0.80, 0.44),
            (0.95, 0.47),
            (0.84, 0.32),
            (0.80, 0.21),
            (0.87, 0.14),
            (0.70, 0.05),
            (0.56, -0.01),
            (0.42, -0.08),
            (0.44, -0.14),
            (0.60, -0.24),
            (0.72, -0.29),
            (0.56, -0.36),
            (0.46, -0.44),
            (0.34, -0.40),
            (0.20, -0.37),
            (0.08, -0.36),
            (0.00, -0.33),
        ]
    )
    outline = np.concatenate([right, (right * (-1, 1))[-2:0:-1]])
    outline = outline + 0.016 * s.random.standard_normal(outline.shape)
    # Four corner cuttings, with little weight, turn straight edges into slightly hollow ones that still end in points.
    following = np.roll(outline, -1, 0)
    middle = 0.5 * (outline + following) * 0.965
    outline = np.stack([outline, 0.42 * outline + 0.58 * middle, middle, 0.42 * following + 0.58 * middle], 1)
    outline = outline.reshape(-1, 2)
    blade = s.polygon(outline)
    root = np.array((0.0, -0.30))
    tips = [(0.0, 0.93), (0.89, 0.44), (-0.89, 0.44), (0.66, -0.28), (-0.66, -0.28)]
    veins, ribs, bulge = np.zeros_like(s.x), np.full_like(s.x, np.inf), np.zeros_like(s.x)
    for tip in tips:
        way = np.array(tip) - root
        length = np.hypot(*way)
        bent = root + way / 2 + 0.04 * np.array((-way[1], way[0])) * np.sign(tip[0])
        distance, along = to_segments(s.x, s.y, np.array([root, bent, tip]))
        veins = np.maximum(veins, ridge(distance, 0.020 * (1.15 - along)))
        cross = ((s.x - root[0]) * way[1] - (s.y - root[1]) * way[0]) / length
        run = ((s.x - root[0]) * way[0] + (s.y - root[1]) * way[1]) / length
        phase = 8.5 * (run - 0.85 * np.abs(cross))
        nearest = distance < ribs
        ribs = np.where(nearest, distance, ribs)
        small = ridge(np.abs(phase - np.round(phase)), 0.10) * step(0.01, 0.04, distance) * step(0.1, 0.3, run)
        bulge = np.where(nearest, 0.5 * small - 0.10 * np.sign(cross), bulge)
    stalk_points = np.array([(0.0, -0.30), (0.02, -0.6), (0.07, -0.80), (0.14, -0.96)])
    stem_distance, stem_along = to_segments(s.x, s.y, stalk_points)
    stem = step(0.0, 0.008, 0.017 + 0.008 * stem_along - stem_distance)
    light = 0.42 + 0.30 * bulge + 0.42 * veins + 0.13 * s.noise(0.55) + 0.05 * s.noise(0.04, octaves=2)
    light = light + 0.12 * step(0.0, 0.9, np.hypot(s.x, s.y + 0.3))
    colour = ramp(light, (0.30, 0.03, 0.02), (0.80, 0.18, 0.05), (0.98, 0.62, 0.20), (1.0, 0.86, 0.5))
    stalk = (stem > 0) & (blade == 0)
    colour = np.where(stalk[..., None], np.array((0.45, 0.10, 0.05)), colour)
    s.save(path, colour, np.maximum(blade, stem))


def petal(path: Path) -> None:
    """A cherry petal: a heart-shaped cup with fine streaks from its base."""
    s = Sheet(340, 380, 5)
    y = s.y + 0.93
    radius, angle = np.hypot(s.x, y), np.arctan2(s.x, y)
    height = np.clip(y / 1.86, 0, 1)
    half_width = 0.80 * np.sin(np.pi * height**0.92) ** 0.62 * (0.42 + 0.58 * step(-0.1, 0.75, height))
    half_width = half_width + 0.016 * s.noise(0.45)
    notch = 0.24 * ridge(s.x, 0.075) + 0.06 * ridge(s.x, 0.25)
    edge = np.minimum(half_width - np.abs(s.x), 1.83 - notch + 0.012 * s.noise(0.12) - y)
    blade = step(-0.005, 0.02, edge) * (y > 0)
    streak = s_curve(np.sin(angle * 46 + 0.6 * s.noise(0.5)) * 0.5 + np.sin(angle * 27 + 1.3) * 0.5)
    light = 0.72 + 0.06 * streak * step(0.2, 0.9, radius) + 0.14 * s.x - 0.25 * step(0.95, 0.0, radius)
    light = light + 0.14 * step(0.25, 0.0, edge) - 0.12 * ridge(angle, 0.03) * step(1.5, 0.4, radius)
    light = light + 0.05 * s.noise(0.4) - 0.10 * ridge(edge - 0.30, 0.18)
    colour = ramp(light, (0.45, 0.08, 0.16), (0.84, 0.42, 0.52), (0.98, 0.80, 0.84), (1.0, 0.97, 0.97))
    s.save(path, colour, blade * (0.86 + 0.14 * step(1.2, 0.3, radius)))


def oak(path: Path) -> None:
    """Round lobes on both sides of a long midrib."""
    s = Sheet(480, 300, 6)
    y = s.y - 0.05 * np.sin(2.0 * s.x + 0.5)
    along = np.clip((s.x + 0.74) / 1.70, 0, 1)
    side = np.abs(y)
    lobe = 4.6 * (along - 0.30 * side) + np.where(y > 0, 0.0, 0.22)
    lobed = np.abs(np.sin(np.pi * lobe)) ** 0.75
    envelope = np.sin(np.pi * np.clip(along, 0, 1) ** 1.25) ** 0.62
    half_width = envelope * (0.20 + 0.28 * lobed) + 0.008 * s.noise(0.2)
    edge = half_width - side
    blade = step(-0.004, 0.012, edge) * (along > 0) * (along < 1)
    stem_distance, _ = to_segments(s.x, y, np.array([(-0.98, -0.05), (-0.86, -0.01), (-0.66, 0.0)]))
    stem = step(0.0, 0.008, 0.017 - stem_distance)
    middle = lobe - 0.5 - 0.42 * side
    vein = ridge(np.abs(middle - np.round(middle)), 0.040 + 0.05 * (1 - step(0, 0.4, side))) * step(0.42, 0.30, side)
    midrib = ridge(y, 0.018 * (1.1 - along))
    light = 0.44 + np.where(y > 0, 0.09, -0.07) * step(0, 0.03, side) + 0.26 * vein + 0.40 * midrib
    light = light + 0.10 * s.noise(0.4) + 0.05 * s.noise(0.03, octaves=2) - 0.20 * step(0.07, 0.0, edge)
    colour = ramp(light, (0.17, 0.10, 0.03), (0.56, 0.38, 0.12), (0.88, 0.70, 0.36))
    s.save(path, colour, np.maximum(blade, stem))


def brush_stroke(path: Path) -> None:
    """Bristles that run dry towards the end of the stroke."""
    s = Sheet(500, 170, 7)
    y = s.y - 0.035 * np.sin(2.4 * s.x + 0.3)
    bristles = s.noise(3.0, 0.016) + 0.6 * s.noise(1.2, 0.008) + 0.35 * s.noise(0.5, 0.004)
    start = -0.93 + 0.024 * s.noise(9.0, 0.02) + 1.6 * np.maximum(np.abs(y) - 0.14, 0) ** 1.2
    end = 0.78 + 0.16 * s.noise(9.0, 0.014) - 1.1 * y**2
    along = (s.x - start) / (end - start)
    dry = 1.9 * step(0.35, 1.15, along) + 0.35 * s.noise(0.45, 0.10) * step(0.0, 0.4, along)
    paint = step(-0.10, 0.35, bristles - dry + 1.15) * step(0.0, 0.02, along) * step(1.0, 0.90, along)
    rim = 0.275 + 0.014 * s.noise(0.4, 0.4) + 0.006 * s.noise(0.05) - 0.04 * along
    alpha = paint * step(0.0, 0.014, rim - np.abs(y))
    relief = s_curve(np.gradient(bristles, axis=0) * 2.2)
    light = 0.58 + 0.17 * relief + 0.07 * bristles + 0.10 * s.noise(0.7)
    light = light + 0.20 * ridge(along - 0.015, 0.02) - 0.12 * step(0.05, 0.0, rim - np.abs(y)) * (y < 0)
    light = light + 0.12 * step(0.05, 0.0, rim - np.abs(y)) * (y > 0)
    s.save(path, ramp(light, (0.16, 0.16, 0.18), (0.58, 0.57, 0.56), (0.97, 0.96, 0.94)), alpha)


def torn_paper(path: Path) -> None:
    """A scrap of thick paper; its torn edge shows the white core."""
    s = Sheet(440, 330, 8)
    x, y = s.x + 0.05 * s.noise(1.1), s.y + 0.05 * s.noise(0.9)
    corners = np.array([(-0.86, -0.52), (0.72, -0.60), (0.90, 0.44), (-0.66, 0.60)])
    edge = to_sides(x, y, corners).min(0)
    ragged = 0.022 * s.noise(0.20, octaves=3) + 0.008 * s.noise(0.025)
    whole = edge + ragged
    face = edge - 0.048 + 0.042 * s.noise(0.16, octaves=3) + 0.010 * s.noise(0.02)
    fibres = Image.new("L", (s.width, s.height), 128)
    pen = ImageDraw.Draw(fibres)
    for _ in range(900):
        ax, ay = s.random.uniform(0, s.width), s.random.uniform(0, s.height)
        turn, length = s.random.uniform(0, 7), s.random.uniform(20, 110)
        points = [(t * length, turn + t) for t in (0.0, 0.35, 0.7, 1.0)]
        grey = int(s.random.choice([80, 105, 160, 185]))
        pen.line([(ax + r * np.cos(angle), ay + r * np.sin(angle)) for r, angle in points], fill=grey, width=4)
    fibre = np.asarray(fibres.filter(ImageFilter.GaussianBlur(2))) / 128.0 - 1
    depth = step(0.0, -0.05, face)
    core = 0.97 - 0.20 * (1 - depth) + 0.10 * fibre
    light = 0.62 + 0.05 * s.noise(0.05, octaves=3) + 0.16 * fibre + 0.05 * s.noise(0.8) + 0.06 * (s.y - 0.3 * s.x)
    crease = s.x * 0.55 + s.y * 0.83 - 0.08 + 0.012 * s.noise(0.3)
    light = light + 0.13 * ridge(crease - 0.016, 0.018) - 0.17 * ridge(crease + 0.012, 0.018)
    printed = step(-0.002, 0.008, face)
    colour = ramp(printed * light + (1 - printed) * core, (0.30, 0.29, 0.27), (0.72, 0.70, 0.66), (1.0, 0.99, 0.96))
    s.save(path, colour, step(-0.006, 0.012, whole + 0.02 * fibre * (1 - printed)))


def tessera(path: Path) -> None:
    """A glass cube of a mosaic, hand cut: bevelled sides, streaks in the glass, a glint."""
    s = Sheet(360, 340, 9)
    x, y = s.x + 0.016 * s.noise(0.5), s.y + 0.016 * s.noise(0.5)
    sides = to_sides(x, y, np.array([(-0.83, -0.74), (0.80, -0.80), (0.86, 0.72), (-0.76, 0.80)]))
    edge = -np.log(np.exp(-30 * sides).sum(0)) / 30  # a soft minimum rounds the corners
    for cx, cy, size in ((0.74, -0.52, 0.14), (-0.80, 0.28, 0.10), (0.22, 0.80, 0.11)):
        edge = edge - 0.05 * ridge(np.hypot(s.x - cx, s.y - cy), size) * (1.2 + 0.6 * s.noise(0.10))
    bevel = 0.155 + 0.030 * s.noise(0.35) + 0.008 * s.noise(0.06)
    facing = np.array([-0.18, -0.02, 0.24, 0.12])[np.argmin(sides, 0)]  # bottom, right, top, left
    swirl = s.noise(0.9, 0.12, 2)
    flow = np.sin(7 * y + 2.2 * swirl + 1.4 * x)
    light = 0.56 + 0.11 * flow + 0.04 * s.noise(0.06) - 0.16 * (y - x) * 0.6
    slope = step(0.010, -0.014, edge - bevel)
    light = light * (1 - slope) + slope * (0.48 + facing + 0.06 * flow + 0.05 * s.noise(0.3))
    light = light + ridge(edge - bevel, 0.014) * (0.05 + 0.35 * np.maximum(facing, 0)) * (1 + 0.6 * s.noise(0.15))
    glint = ridge((x + 0.30) * 0.8 + (y - 0.36) * 0.6, 0.24) * ridge((x + 0.30) * -0.6 + (y - 0.36) * 0.8, 0.075)
    second = ridge((x - 0.34) * 0.8 + (y + 0.44) * 0.6, 0.16) * ridge((x - 0.34) * -0.6 + (y + 0.44) * 0.8, 0.05)
    spark = ridge(np.hypot(x + 0.60, y - 0.63), 0.05)
    light = light + 0.34 * glint + 0.16 * second + 0.5 * spark
    for _ in range(9):
        bx, by = s.random.uniform(-0.55, 0.55, 2)
        r = s.random.uniform(0.010, 0.024)
        light = light + 0.16 * ridge(np.hypot(x - bx, y - by) - r, 0.007)
        light = light + 0.25 * ridge(np.hypot(x - bx + r / 3, y - by - r / 3), r / 3)
    light = light - 0.22 * step(0.03, 0.0, edge)
    colour = ramp(light, (0.10, 0.11, 0.13), (0.52, 0.54, 0.56), (1.0, 1.0, 1.0))
    s.save(path, colour, step(0.0, 0.022, edge) * (0.90 + 0.10 * slope + 0.1 * glint))


FOLDERS: dict[str, list[Callable[[Path], None]]] = {
    "primitives": [beech, ginkgo, maple, oak, petal, willow],
    "studio": [brush_stroke, tessera, torn_paper],
}


def main() -> None:
    """Draw all."""
    for name, drawings in FOLDERS.items():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        for draw in drawings:
            path = folder / f"{draw.__name__}.png"
            draw(path)
            print(path.relative_to(HERE), f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
