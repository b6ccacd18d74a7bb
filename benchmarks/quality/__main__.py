# SPDX-License-Identifier: GPL-3.0-or-later
"""How good fits look, preset against preset: `python benchmarks/quality --data FOLDER`. README.md says what it found.

Real photographs (scikit-image's own) and the paintings of FOLDER, several sets of bitmaps, equal counts, equal steps.
It prints a table and the differences of each preset to the first one, and writes `quality.json` and contact sheets.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from smalti.engine.api import fit
from smalti.engine.composition import Composition
from smalti.engine.composition.render import picture
from smalti.engine.files.images import read_image
from smalti.engine.fitting import fit as sequence
from smalti.engine.fitting.strategy import exchange
from smalti.engine.fitting.strategy import relocate as recycle
from smalti.engine.templates import Template, load_templates

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg")
SETS = ("flowers", "marks", "discs", "strokes", "letters")
PRESETS_HELP = "the first is what the others are measured by; -recycling, -choice, -order behind one switch these off"
METRICS = ("psnr", "ssim", "ms_ssim", "gmsd")


@dataclass
class Result:
    """One fit: PSNR in dB, SSIM and MS-SSIM up to 1, GMSD (smaller is better), seconds."""

    image: str
    bitmaps: str
    mix: float
    count: int
    steps: int
    preset: str
    psnr: float
    ssim: float
    ms_ssim: float
    gmsd: float
    seconds: float

    @property
    def case(self) -> tuple[str, str, float, int]:
        return self.image, self.bitmaps, self.mix, self.count


def strokes() -> list[Pixels]:
    """Brush strokes: bundles of bristles along a bent line, drawn large and reduced."""
    rng = np.random.default_rng(0)
    found = []
    for colour in palette(12):
        image = Image.new("RGBA", (1200, 400), (*colour, 0))
        draw = ImageDraw.Draw(image)
        bend = rng.uniform(-90, 90)
        for _ in range(90):
            offset, begin, end = rng.normal(0, 45), rng.uniform(40, 160), rng.uniform(1020, 1160)
            x = np.linspace(begin, end, 40)
            y = 200 + offset + bend * np.sin(np.pi * x / 1200) + rng.normal(0, 2)
            bristle = tuple(int(c) for c in np.clip(np.array(colour) * rng.uniform(0.75, 1.2), 0, 255))
            draw.line([*zip(x, y)], (*bristle, 255), int(rng.uniform(4, 10)))
        found.append(np.asarray(image.resize((300, 100), Image.Resampling.LANCZOS)))
    return found


def palette(count: int) -> list[tuple[int, int, int]]:
    """Colours of all hues, light and dark, and greys."""
    rng = np.random.default_rng(1)
    found = [(20, 20, 24), (128, 128, 128), (240, 240, 236)]
    while len(found) < count:
        red, green, blue = (int(255 * c) for c in colorsys.hsv_to_rgb(*rng.uniform((0, 0.2, 0.3), (1, 0.9, 1))))
        found.append((red, green, blue))
    return found


def letters() -> list[Pixels]:
    """Letters in Pillow's own typeface, in many colours."""
    font = ImageFont.load_default(160)
    found = []
    for letter, colour in zip("SMALTIMOSAICGLAS", palette(16)):
        box = font.getbbox(letter)
        image = Image.new("RGBA", (int(box[2] - box[0]) + 8, int(box[3] - box[1]) + 8), (*colour, 0))
        ImageDraw.Draw(image).text((4 - box[0], 4 - box[1]), letter, (*colour, 255), font)
        found.append(np.asarray(image))
    return found


def discs() -> list[Pixels]:
    """Soft discs in many colours."""
    y, x = np.mgrid[0:128, 0:128] - 63.5
    alpha = (np.clip((64 - np.hypot(x, y)) / 4, 0, 1) * 255).astype(np.uint8)
    colours = [np.broadcast_to(np.array(colour, np.uint8), (128, 128, 3)) for colour in palette(16)]
    return [np.dstack([colour, alpha]) for colour in colours]


def templates_of(name: str, data: Path, out: Path) -> list[Template]:
    made = {"strokes": strokes, "letters": letters, "discs": discs}.get(name)
    folder = data / "primitives" / name
    if made is not None:
        folder = out / "bitmaps" / name
        folder.mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(made()):
            Image.fromarray(pixels).save(folder / f"{name}-{i + 1}.png")
    return load_templates(folder)


def images(data: Path, chosen: str) -> Iterator[Path]:
    photographs = Path(skimage.__file__).parent / "data"
    every = [*(photographs / name for name in PHOTOGRAPHS), *sorted((data / "paintings").iterdir())]
    yield from (path for path in every if not chosen or path.stem in chosen.split(","))


def target_of(path: Path, composition: Composition) -> Pixels:
    size = composition.header.width, composition.header.height
    # With the file's colour profile taken into account, as a fit does.
    return np.asarray(Image.fromarray(read_image(path)[..., :3]).resize(size, Image.Resampling.LANCZOS))


def gmsd(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Gradient magnitude similarity deviation (Xue et al., 2014) of two grey pictures, 0 to 255; 0 for equal ones."""

    def reduced(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        height, width = (side // 2 * 2 for side in plane.shape)
        p = plane[:height, :width]
        return (p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4

    def magnitude(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        # Prewitt's operator.
        p = np.pad(plane, 1, mode="edge")
        dx = (p[:-2, :-2] + p[1:-1, :-2] + p[2:, :-2] - p[:-2, 2:] - p[1:-1, 2:] - p[2:, 2:]) / 3
        dy = (p[:-2, :-2] + p[:-2, 1:-1] + p[:-2, 2:] - p[2:, :-2] - p[2:, 1:-1] - p[2:, 2:]) / 3
        return np.hypot(dx, dy)

    one, other = magnitude(reduced(a)), magnitude(reduced(b))
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    return float(similarity.std())


def measures(found: Pixels, wanted: Pixels) -> dict[str, float]:
    a, b = (p.astype(np.float64) / 255 for p in (found, wanted))
    tensors = [torch.from_numpy(p).permute(2, 0, 1).unsqueeze(0).float() for p in (a, b)]
    grey = [255 * p @ np.array([0.299, 0.587, 0.114]) for p in (a, b)]
    return {
        "psnr": float(-10 * np.log10(np.square(a - b).mean())),
        "ssim": float(structural_similarity_index_measure(*tensors, data_range=1.0)),
        "ms_ssim": float(multiscale_structural_similarity_index_measure(*tensors, data_range=1.0)),
        "gmsd": gmsd(grey[0], grey[1]),
    }


def sheet(rows: list[list[Pixels]], path: Path) -> None:
    """Pictures side by side, a row for each case: the target first."""
    width, height = (max(p.shape[i] for row in rows for p in row) for i in (1, 0))
    page = Image.new("RGB", (len(rows[0]) * (width + 8) - 8, len(rows) * (height + 8) - 8), "white")
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            page.paste(Image.fromarray(pixels), (x * (width + 8), y * (height + 8)))
    page.save(path)


@contextmanager
def switched_off(parts: list[str]) -> Iterator[None]:
    """Within, fits go without recycling, choice (of bitmaps and poses), order or fading (of sprites that do harm)."""
    changes: dict[str, list[tuple[object, str, object]]] = {
        "recycling": [(recycle, "is_due", lambda done, steps: False)],
        "choice": [(exchange, "RAISED", 0.5), (exchange, "LOWERED", 0.5), (exchange, "PLAIN", 1.0)],
        "fading": [(sequence, "sprites_to_show", lambda optimiser: optimiser.sprites())],
        "order": [(exchange, "RAISED", 0.0), (exchange, "LOWERED", 0.0)],
    }
    if "choice" in parts and "order" in parts:
        changes["order"] = [(exchange, "is_due", lambda done, steps, effort: False)]
    with ExitStack() as stack:
        for module, name, value in (change for part in parts for change in changes[part]):
            stack.enter_context(patch.object(module, name, value))
        yield


def line_of(r: Result) -> str:
    return (
        f"{r.image:20} {r.bitmaps:8} {r.mix:3g} {r.count:5}  {r.preset:10} {r.psnr:6.2f} {r.ssim:6.3f} "
        f"{r.ms_ssim:6.3f} {r.gmsd:6.3f} {r.seconds:4.1f}"
    )


def summary(results: list[Result], presets: list[str]) -> None:
    """Each preset against the first: means by mix, and the worst case."""
    by = {(r.case, r.preset): r for r in results}
    cases = list(dict.fromkeys(r.case for r in results))
    for preset in presets[1:]:
        for mix in dict.fromkeys(r.mix for r in results):
            chosen = [case for case in cases if case[2] == mix]
            line = [f"{preset} against {presets[0]}, mix {mix:g}, {len(chosen)} cases:"]
            for metric in METRICS:
                gains = [getattr(by[c, preset], metric) - getattr(by[c, presets[0]], metric) for c in chosen]
                worst = max(gains) if metric == "gmsd" else min(gains)
                case = chosen[gains.index(worst)]
                line.append(
                    f"  {metric:8} {np.mean(gains):+.3f} on average, {worst:+.3f} at worst ({', '.join(case[:2])})"
                )
            print("\n".join(line))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with paintings/ and primitives/")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="folder for figures and contact sheets")
    parser.add_argument("--presets", default="published,balanced", help=PRESETS_HELP)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--images", default="", help="names without ending (default: all)")
    parser.add_argument("--counts", default="500,1000,2000,5000")
    parser.add_argument("--mixes", default="0,1")
    parser.add_argument("--size", type=int, default=384, help="longer side of the canvas, pixels")
    parser.add_argument("--steps", type=int, default=200, help="for all presets alike; 0: each its own")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    presets = options.presets.split(",")
    results: list[Result] = []
    print(f"{'image':20} bitmaps  mix count  preset       PSNR   SSIM     MS   GMSD    s")
    for name in options.sets.split(","):
        templates = templates_of(name, options.data, options.out)
        for mix in (float(m) for m in options.mixes.split(",")):
            for count in (int(c) for c in options.counts.split(",")):
                rows = []
                for image in images(options.data, options.images):
                    row: list[Pixels] = []
                    for preset in presets:
                        began = time.monotonic()
                        base, *without = preset.split("-")
                        if base == "published":  # ours alone: it would end as a bare canvas where it does worse
                            without.append("fading")
                        with switched_off(without):
                            composition = fit(
                                image,
                                templates,
                                preset=base,
                                count=count,
                                size=options.size,
                                steps=options.steps or None,
                                colour_mix=mix,
                            )
                        seconds = time.monotonic() - began
                        found, wanted = picture(composition)[..., :3], target_of(image, composition)
                        result = Result(
                            image.stem,
                            name,
                            mix,
                            count,
                            options.steps,
                            preset,
                            **{m: round(v, 4) for m, v in measures(found, wanted).items()},
                            seconds=round(seconds, 2),
                        )
                        results.append(result)
                        print(line_of(result), flush=True)
                        row = row or [wanted]
                        row.append(found)
                    rows.append(row)
                sheet(rows, options.out / f"{name}-mix{mix:g}-{count}.png")
    (options.out / "quality.json").write_text(json.dumps([asdict(result) for result in results], indent=1))
    print()
    summary(results, presets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
