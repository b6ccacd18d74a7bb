# SPDX-License-Identifier: GPL-3.0-or-later
"""Remake the pictures of README.md that show Blender's window: `python docs/make_window_pictures.py`.

After `make extension`, in the Blender that `make window` sets up. docs/in_blender/panel.py is what happens there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "window"))

from display import screen  # noqa: E402
from window import blender  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
QUALITY = 88
SIZE = 1600, 1000  # pixels of the window
LIMIT = 900.0  # seconds
SHADERS = 20.0  # seconds in which others compile shaders, while Blender rests
PARTS = {"blender": (0, 28, 1322, 902), "depth": (235, 60, 1120, 870)}
"""Picture -> its part of the window: left, top, right, bottom, in pixels."""


def photograph(folder: Path) -> dict[str, Image.Image]:
    """The window at each DONE of docs/in_blender/panel.py, by its name."""
    setup = ROOT / "build" / "window"
    (archive,) = (ROOT / "dist").glob("smalti-*-*.zip")
    shutil.copy(ROOT / "examples" / "target" / "lighthouse.png", folder)
    shutil.copytree(ROOT / "examples" / "primitives", folder / "leaves")
    install = ["blender", "--command", "extension", "install-file", "--repo", "user_default", str(archive)]
    subprocess.run([setup / "run", *install], check=True, capture_output=True, env={**os.environ, "HOME": str(folder)})
    settings = {"target": "//lighthouse.png", "primitives": "//leaves/", "count": 800, "size": 640, "shade": 0.35}
    given = json.dumps({"folder": str(folder), "settings": {**settings, "output": "//leaves job"}})
    script = ["--python-exit-code", "1", "--python", str(ROOT / "docs" / "in_blender" / "panel.py"), "--", given]
    found: dict[str, Image.Image] = {}
    with (
        screen([setup / "run"], *SIZE) as display,
        blender(display, setup / "run", setup / "Inter.woff2", folder, *script) as window,
    ):
        until = time.monotonic() + LIMIT
        while len(found) < len(PARTS) and time.monotonic() < until and window.process.poll() is None:
            for name in PARTS:
                if f"DONE {name}" in window.printed() and name not in found:
                    window.settle()
                    time.sleep(SHADERS)
                    window.settle()
                    found[name] = Image.fromarray(display.pixels())
                    found[name].save(folder / f"{name}.png")
            time.sleep(0.5)
        assert len(found) == len(PARTS), window.printed()[-3000:]
    return found


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, image in photograph(Path(temporary)).items():
            image.crop(PARTS[name]).save(PICTURES / f"{name}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
