# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the settings that follow from a job are good ones: `python benchmarks/quality/search.py --data FOLDER`.

Pictures on which nothing was tuned (scikit-image's own), each in several bitmaps. For each case, fits with what Smalti
chooses, and with random changes of it; the best of them all says how much is to be had by searching.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import skimage

from smalti.engine.api import fit
from smalti.engine.composition.render import picture
from smalti.engine.fitting import fit as sequence
from smalti.engine.fitting import optimiser
from smalti.engine.fitting.initialise import FLATNESS, OVERLAP, start
from smalti.engine.fitting.strategy import exchange
from smalti.engine.fitting.strategy import relocate as recycle
from smalti.engine.job import inputs

HELD_OUT = ("retina.jpg", "ihc.png", "motorcycle_left.png", "moon.png", "coins.png", "clock_motion.png")
CASES = (("flowers", 0.0), ("strokes", 0.0), ("letters", 1.0), ("marks", 0.5))


def changes(rng: np.random.Generator) -> dict[str, float]:
    """Factors on what is chosen, a few of them other than 1."""
    names = ("rate", "sizes", "turns", "paint", "overlap", "flatness", "blur", "blur_until", "end", "moved", "small")
    factors = {name: float(np.exp(rng.normal(0, 0.45))) for name in names}
    kept = rng.permutation(names)[: rng.integers(0, len(names) - 1)]
    return factors | dict.fromkeys(kept.tolist(), 1.0)


@contextmanager
def changed(by: dict[str, float]) -> Iterator[None]:
    """Within, fits take other settings."""
    usual = optimiser.MOTION
    rates = {name: rate * by["rate"] for name, rate in usual.rates.items()}
    rates |= {"log_scale": rates["log_scale"] * by["sizes"], "theta": rates["theta"] * by["turns"]}
    rates |= {"opacity": rates["opacity"] * by["paint"], "tint": rates["tint"] * by["paint"]}
    motion = replace(
        usual, rates=rates, end=usual.end * by["end"], blur_until=min(1.0, (usual.blur_until or 1) * by["blur_until"])
    )
    begin = partial(start, flatness=min(1.0, FLATNESS * by["flatness"]), overlap=OVERLAP * by["overlap"])
    new = [
        (inputs, "MOTION", motion),
        (inputs, "BLUR", inputs.BLUR * by["blur"]),
        (sequence, "start", begin),
        (recycle, "USELESS", recycle.USELESS * by["moved"]),
        (recycle, "SMALL", min(0.9, recycle.SMALL * by["small"])),
        (exchange, "REACH", exchange.REACH * by["moved"]),
    ]
    with ExitStack() as stack:
        for module, name, value in new:
            stack.enter_context(patch.object(module, name, value))
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with primitives/")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="folder for bitmaps that are made here")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--size", type=int, default=256, help="longer side of the canvas, pixels")
    parser.add_argument("--tries", type=int, default=20, help="random changes of each case")
    parser.add_argument("--images", default=",".join(HELD_OUT), help="of scikit-image's")
    parser.add_argument("--sets", default=",".join(bitmaps for bitmaps, _ in CASES))
    options = parser.parse_args()
    place = Path(__file__).with_name("__main__.py")
    specification = importlib.util.spec_from_file_location("quality", place)
    assert specification is not None and specification.loader is not None  # noqa: PT018
    quality = importlib.util.module_from_spec(specification)
    sys.modules["quality"] = quality
    specification.loader.exec_module(quality)
    folder = Path(skimage.__file__).parent / "data"
    short = []
    for bitmaps, mix in (case for case in CASES if case[0] in options.sets.split(",")):
        templates = quality.templates_of(bitmaps, options.data, options.out)
        for image in options.images.split(","):

            def psnr(by: dict[str, float], path: Path = folder / image, mix: float = mix) -> float:
                with changed(by):
                    found = fit(path, templates, count=options.count, size=options.size, colour_mix=mix)  # noqa: B023
                off = picture(found)[..., :3].astype(np.float64) - quality.target_of(path, found)
                return float(-10 * np.log10(np.square(off / 255).mean()))

            rng = np.random.default_rng(len(short))
            tried = [changes(rng) for _ in range(options.tries)]
            usual = psnr(dict.fromkeys(tried[0], 1.0))
            found = [psnr(by) for by in tried]
            best = int(np.argmax(found))
            short.append(max(0.0, found[best] - usual))
            other = {name: round(factor, 2) for name, factor in tried[best].items() if factor != 1.0}
            print(
                f"{image:20} {bitmaps:8} {mix:3g}  chosen {usual:6.2f} dB  best {found[best]:6.2f} dB  {other}",
                flush=True,
            )
    print(f"{len(short)} cases: {np.mean(short):.2f} dB to be had on average, {max(short):.2f} dB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
