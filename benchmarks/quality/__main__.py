# SPDX-License-Identifier: GPL-3.0-or-later
"""How good fits look, preset against preset: `python benchmarks/quality --data FOLDER`. README.md has the results.

Real photographs (scikit-image's own) and the paintings of FOLDER, several sets of bitmaps, equal counts, equal steps.
It prints a table and the differences of each preset to the first one, and writes `quality.json` and contact sheets.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import skimage
from drawn_bitmaps import templates_of
from measures import METRICS, measures, target_of
from PIL import Image
from variants import preset_without

from smalti.engine.api import fit
from smalti.engine.arrays import UInt8Array
from smalti.engine.composition.render import picture
from smalti.engine.templates import Template

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg")
SETS = ("flowers", "marks", "discs", "strokes", "letters")
PRESETS_HELP = "the first is what the others are compared with; -relocation, -choice, -order, -pruning switch parts off"


@dataclass(frozen=True)
class Case:
    """What one fit starts from: a picture's name, a set of bitmaps, the color mix, and the number of sprites."""

    image: str
    bitmaps: str
    mix: float
    count: int


@dataclass(frozen=True)
class Result:
    """One fit. Its figures are those of `measures`; `steps` 0 are the preset's own."""

    case: Case
    preset: str
    steps: int
    seconds: float
    figures: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """The result as a row of quality.json."""
        return {
            **asdict(self.case),
            "steps": self.steps,
            "preset": self.preset,
            **{name: round(value, 4) for name, value in self.figures.items()},
            "seconds": self.seconds,
        }

    def line(self) -> str:
        """The result as a row of the table."""
        f = self.figures
        return (
            f"{self.case.image:20} {self.case.bitmaps:8} {self.case.mix:3g} {self.case.count:5}  {self.preset:10} "
            f"{f['psnr']:6.2f} {f['ssim']:6.3f} {f['ms_ssim']:6.3f} {f['gmsd']:6.3f} {self.seconds:4.1f}"
        )


def images(data: Path, chosen: str) -> Iterator[Path]:
    """The photographs, and the paintings of a folder; of these the chosen ones, names with commas between (or all)."""
    photographs = Path(skimage.__file__).parent / "data"
    every = [*(photographs / name for name in PHOTOGRAPHS), *sorted((data / "paintings").iterdir())]
    yield from (path for path in every if not chosen or path.stem in chosen.split(","))


def fitted(
    case: Case, image: Path, templates: list[Template], preset: str, options: argparse.Namespace
) -> tuple[Result, UInt8Array, UInt8Array]:
    """Do one fit; returns what came of it, the picture and its target, both [height, width, 3]."""
    base, *without = preset.split("-")
    began = time.monotonic()
    composition = fit(
        image,
        templates,
        strategy=preset_without(base, without),
        preset=base,
        count=case.count,
        size=options.size,
        steps=options.steps or None,
        colour_mix=case.mix,
    )
    seconds = round(time.monotonic() - began, 2)
    rendered, target = picture(composition)[..., :3], target_of(image, composition)
    return Result(case, preset, options.steps, seconds, measures(rendered, target)), rendered, target


def sheet(rows: list[list[UInt8Array]], path: Path) -> None:
    """Pictures side by side, a row for each case: the target first."""
    width, height = (max(p.shape[i] for row in rows for p in row) for i in (1, 0))
    page = Image.new("RGB", (len(rows[0]) * (width + 8) - 8, len(rows) * (height + 8) - 8), "white")
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            page.paste(Image.fromarray(pixels), (x * (width + 8), y * (height + 8)))
    page.save(path)


def summary(results: list[Result], presets: list[str]) -> None:
    """Print each preset against the first: means by color mix, and the worst case."""
    by = {(r.case, r.preset): r.figures for r in results}
    cases = list(dict.fromkeys(r.case for r in results))
    for preset in presets[1:]:
        for mix in dict.fromkeys(case.mix for case in cases):
            chosen = [case for case in cases if case.mix == mix]
            print(f"{preset} against {presets[0]}, mix {mix:g}, {len(chosen)} cases:")
            for metric in METRICS:
                gains = [by[case, preset][metric] - by[case, presets[0]][metric] for case in chosen]
                worst = max(gains) if metric == "gmsd" else min(gains)
                case = chosen[gains.index(worst)]
                where = f"{case.image}, {case.bitmaps}"
                print(f"  {metric:8} {np.mean(gains):+.3f} on average, {worst:+.3f} at worst ({where})")


def arguments() -> argparse.Namespace:
    """The command line's."""
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
    return parser.parse_args()


def main() -> int:
    """Fit all cases with all presets."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    presets = options.presets.split(",")
    results: list[Result] = []
    print(f"{'image':20} bitmaps  mix count  preset       PSNR   SSIM     MS   GMSD    s")
    for bitmaps in options.sets.split(","):
        templates = templates_of(bitmaps, options.data, options.out)
        for mix in (float(m) for m in options.mixes.split(",")):
            for count in (int(c) for c in options.counts.split(",")):
                rows = []
                for image in images(options.data, options.images):
                    row: list[UInt8Array] = []
                    for preset in presets:
                        result, rendered, target = fitted(
                            Case(image.stem, bitmaps, mix, count), image, templates, preset, options
                        )
                        results.append(result)
                        print(result.line(), flush=True)
                        row = [*(row or [target]), rendered]
                    rows.append(row)
                sheet(rows, options.out / f"{bitmaps}-mix{mix:g}-{count}.png")
    (options.out / "quality.json").write_text(json.dumps([result.as_json() for result in results], indent=1))
    print()
    summary(results, presets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
