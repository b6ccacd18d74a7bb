# SPDX-License-Identifier: GPL-3.0-or-later
"""Remake the pictures of README.md that Blender renders: `python docs/make_blender_pictures.py [PICTURE...]`.

Each is the lighthouse out of leaves, imported by the newest Blender of build/blender, which then runs a script of
docs/in_blender. It takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "blender"), str(ROOT / "addon")]

from blenders import Blender, environments, python_of  # noqa: E402
from build_extension import build  # noqa: E402

from smalti.bridge.job import JobSpec  # noqa: E402
from smalti.bridge.looks import in_look  # noqa: E402
from smalti.engine.job.run import run_job  # noqa: E402

EXAMPLES = ROOT / "examples"
PICTURES = ROOT / "docs" / "pictures"
QUALITY = 88

MAKERS: dict[str, dict[str, Any]] = {
    "lit.jpg": {"count": 700, "size": 720, "steps": 250, "seed": 2},
    "wind.jpg": {
        "count": 1500,
        "size": 960,
        "shade": 0.35,
        "min_size": 30.0,
        "max_size": 150.0,
        "min_visibility": 0.25,
    },
}
"""What each is fitted with, besides the look."""


def make(name: str, path: Path) -> None:
    """Fit, import and render one picture into a file."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        leaves = str(EXAMPLES / "primitives")
        given = in_look({"look": "collage", **MAKERS[name]})
        job = JobSpec(str(EXAMPLES / "target" / "lighthouse.png"), leaves, **given).checked()
        run_job(job, folder / "lighthouse")
        blender = Blender(python_of(environments()[-1]), folder / "resources")
        blender.run("install", zip=build(folder / "dist"))
        script, rendered = ROOT / "docs" / "in_blender" / Path(name).stem, folder / "rendered.png"
        blender.run(str(script), 1800, job=folder / "lighthouse", out=rendered)
        with Image.open(rendered) as image:
            image.convert("RGB").save(path, quality=QUALITY, optimize=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="*", choices=[*MAKERS, []], metavar="PICTURE", help=f"of {', '.join(MAKERS)}")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder to write into (default: docs/pictures)")
    options = parser.parse_args()
    for name in options.pictures or MAKERS:
        make(name, options.out / name)


if __name__ == "__main__":
    main()
