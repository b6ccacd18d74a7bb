# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Blender's own thread is busy with imports: CPU seconds, in every Blender of build/blender.

    python benchmarks/blender [--sprites 1000 5000 20000] [--frames 50]

Imports as layers and as a mosaic, second imports of the same job, undo and redo, converting one to the other; and what
a frame of a film takes to play. The figures of one run are comparable with each other, those of two machines are not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / "tests" / "blender"))
sys.path.insert(0, str(_ROOT / "addon"))

from blenders import Blender, environments, python_of  # noqa: E402
from build_extension import build  # noqa: E402
from synthetic import write_job  # noqa: E402

_INSIDE = Path(__file__).with_name("inside_blender")
_COLUMNS = ("import", "again", "undo", "redo", "frame ms", "to layers", "to mosaic")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="CPU time of imports in Blender.")
    parser.add_argument("--sprites", type=int, nargs="+", default=[1000, 5000, 20_000], help="of stills")
    parser.add_argument("--film-sprites", type=int, nargs="+", default=[500, 5000], help="of films")
    parser.add_argument("--frames", type=int, default=50, help="of films")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extension = build(folder / "dist")
        jobs = [(folder / f"{count} sprites", count, 1) for count in options.sprites]
        jobs += [(folder / f"{count} x {options.frames}", count, options.frames) for count in options.film_sprites]
        for job, count, frames in jobs:
            write_job(job, count=count, frames=frames, pictures=False)
        for environment in environments():
            blender = Blender(python_of(environment), folder / f"resources {environment.name}")
            blender.run("install", zip=extension)
            reported = blender.run(str(_INSIDE), timeout=1800, jobs=[job for job, _, _ in jobs])
            print(f"Blender {reported['version']}")
            print(f"{'':<24}" + "".join(f"{column:>10}" for column in _COLUMNS))
            for label, row in reported["rows"].items():
                print(f"{label:<24}" + "".join(f"{row[c]:>10.2f}" if c in row else f"{'':>10}" for c in _COLUMNS))


if __name__ == "__main__":
    main()
