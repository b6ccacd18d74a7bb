# SPDX-License-Identifier: GPL-3.0-or-later
"""One whole step (bin, forward, loss, backward, update) on a random scene: median milliseconds and the spread.

    python benchmarks/step.py [--sprites 1000] [--size 512] [--half-size 25] [--mix 0] [--steps 50]

Sprites have half-sizes uniform in 0.3 to 1.7 times the mean, random angles, opacities from 0.3 to 0.9, and soft discs
of 64 texels as templates. The machine should be idle; compare only figures of one run.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from smalti.engine.cpu import instruction_set, threads_to_kernels
from smalti.engine.fitting.optimiser import Optimiser, Settings
from smalti.engine.raster import build_atlas


def disc(texels: int = 64) -> np.ndarray:
    """A soft disc, [texels, texels, 4] premultiplied."""
    y, x = np.mgrid[0:texels, 0:texels] + 0.5 - texels / 2
    alpha = np.clip((1 - np.hypot(x, y) / (texels / 2)) * 8, 0, 1)[..., None]
    return np.concatenate([alpha * (0.3, 0.6, 0.9), alpha], axis=2)


def main() -> None:
    """Time steps and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sprites", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--half-size", type=float, default=25)
    parser.add_argument("--mix", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    n, size = options.sprites, options.size
    sprites = {
        "template": rng.integers(0, 4, n),
        "x": rng.uniform(0, size, n),
        "y": rng.uniform(0, size, n),
        "scale": options.half_size * rng.uniform(0.3, 1.7, n),
        "aspect": np.zeros(n),
        "theta": rng.uniform(-np.pi, np.pi, n),
        "opacity": rng.uniform(0.3, 0.9, n),
        "tint": rng.uniform(0, 1, (n, 3)),
    }
    target = np.ones((size, size, 4), np.float32)
    target[..., :3] = rng.uniform(0, 1, (size, size, 3))
    settings = Settings(
        steps=options.steps,
        rate=1e-3,
        blur=0.0,
        colour_mix=options.mix,
        blend_space="srgb",
        alpha_max=1.0,
        lock_rotation=False,
        lock_scale=False,
        size_range=(1.0, float(size)),
        back_end="cpu",
    )
    optimiser = Optimiser(
        target, np.ones_like(target), build_atlas([disc()] * 4), np.full((4, 2), 64.0), sprites, settings, 0
    )
    times = []
    with threads_to_kernels():
        for _ in range(options.steps):
            began = time.perf_counter()
            optimiser.step()
            times.append(1000 * (time.perf_counter() - began))
    print(
        f"{n} sprites of half-size {options.half_size:g} at {size} x {size}, mix {options.mix:g}, "
        f"{torch.get_num_threads()} threads, {instruction_set()}: median {statistics.median(times):.1f} ms a step, "
        f"{min(times):.1f} to {max(times):.1f}"
    )


if __name__ == "__main__":
    main()
