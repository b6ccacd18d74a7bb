# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the settings that follow from a job are good ones: `python benchmarks/quality/search.py --data FOLDER`.

Pictures on which nothing was tuned (scikit-image's own), each in several bitmaps. For each case, fits with what Smalti
chooses, and with random changes of it; the best of them shows how much a search would gain.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import skimage
from drawn_bitmaps import templates_of
from measures import psnr, target_of
from variants import FACTORS, changed

from smalti.engine.api import fit
from smalti.engine.composition.render import picture
from smalti.engine.templates import Template

HELD_OUT = ("retina.jpg", "ihc.png", "motorcycle_left.png", "moon.png", "coins.png", "clock_motion.png")
CASES = (("flowers", 0.0), ("strokes", 0.0), ("letters", 1.0), ("marks", 0.5))


def changes(rng: np.random.Generator) -> dict[str, float]:
    """`FACTORS` on what is chosen, a few of them other than 1."""
    factors = {name: float(np.exp(rng.normal(0, 0.45))) for name in FACTORS}
    kept = rng.permutation(FACTORS)[: rng.integers(0, len(FACTORS) - 1)]
    return factors | dict.fromkeys(kept.tolist(), 1.0)


def quality(
    image: Path, templates: list[Template], mix: float, by: dict[str, float], options: argparse.Namespace
) -> float:
    """PSNR in dB of a fit whose hyperparameters are multiplied by factors."""
    composition = fit(image, templates, strategy=changed(by), count=options.count, size=options.size, colour_mix=mix)
    return psnr(picture(composition)[..., :3], target_of(image, composition))


def arguments() -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with primitives/")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="folder for bitmaps that are made here")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--size", type=int, default=256, help="longer side of the canvas, pixels")
    parser.add_argument("--tries", type=int, default=20, help="random changes of each case")
    parser.add_argument("--images", default=",".join(HELD_OUT), help="of scikit-image's")
    parser.add_argument("--sets", default=",".join(bitmaps for bitmaps, _ in CASES))
    return parser.parse_args()


def main() -> int:
    """Search for each case."""
    options = arguments()
    folder = Path(skimage.__file__).parent / "data"
    gains: list[float] = []
    for bitmaps, mix in (case for case in CASES if case[0] in options.sets.split(",")):
        templates = templates_of(bitmaps, options.data, options.out)
        for image in options.images.split(","):
            rng = np.random.default_rng(len(gains))
            tried = [changes(rng) for _ in range(options.tries)]
            chosen, *others = (
                quality(folder / image, templates, mix, by, options) for by in (dict.fromkeys(FACTORS, 1.0), *tried)
            )
            best = int(np.argmax(others))
            gains.append(max(0.0, others[best] - chosen))
            other = {name: round(factor, 2) for name, factor in tried[best].items() if factor != 1.0}
            print(
                f"{image:20} {bitmaps:8} {mix:3g}  chosen {chosen:6.2f} dB  best {others[best]:6.2f} dB  {other}",
                flush=True,
            )
    print(f"{len(gains)} cases: a search gains {np.mean(gains):.2f} dB on average, {max(gains):.2f} dB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
