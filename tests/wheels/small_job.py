# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installed wheel must be able to do: a small job from fit to PSD. The checkout is not on Python's path then.

python tests/wheels/small_job.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

import smalti.engine

LEAST_PSNR = 15.0
"""dB; without any sprite it is 10.6."""


def run(*arguments: object) -> None:
    """Run a command of the installed Smalti, which must not fail."""
    subprocess.run([sys.executable, "-m", "smalti.engine", *map(str, arguments)], check=True)


def main() -> None:
    """Raises whatever is wrong."""
    here = Path(__file__).resolve().parents[2]
    installed = Path(smalti.engine.__file__).resolve()
    assert here not in installed.parents or "site-packages" in installed.parts, f"this is the checkout: {installed}"
    assert not any(map(shutil.which, ("cc", "gcc", "g++", "clang", "cl"))) or "CIBUILDWHEEL" in os.environ
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        y, x = np.mgrid[-1:1:48j, -1:1:64j]
        target = np.stack([0.5 + 0.4 * x, 0.5 + 0.4 * y, (np.hypot(x, y) < 0.5) * 1.0], axis=-1)
        Image.fromarray(np.rint(255 * target).astype(np.uint8)).save(work / "target.png")
        spot = np.full((32, 32, 4), 255, np.uint8)
        y, x = np.mgrid[-1:1:32j, -1:1:32j]
        spot[..., 3] = np.rint(255 * np.clip(4 * (0.9 - np.hypot(x, y)), 0, 1))
        (work / "spots").mkdir()
        Image.fromarray(spot).save(work / "spots" / "spot.png")
        job = work / "job"
        size = ("--count", 60, "--size", 64, "--steps", 60)
        run("fit", work / "target.png", "--primitives", work / "spots", "--out", job, *size)
        psnr = json.loads((job / "report.json").read_text())["psnr"]
        assert psnr > LEAST_PSNR, psnr
        run("render", job, "--size", 200)
        run("export", job, "--psd", "--size", 200)
        run("doctor")
        assert Image.open(job / "render-200.png").size == (200, 150)
        assert (job / "layers-200.psd").stat().st_size > 1000
    torch = "with torch" if find_spec("torch") else "no torch"
    print(f"smalti {version('smalti')}, Python {sys.version.split()[0]}, {torch}: {psnr:.2f} dB")


if __name__ == "__main__":
    main()
