# SPDX-License-Identifier: GPL-3.0-or-later
"""ImageMagick as a reader of our files that shares no code with us."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class ImageMagick:
    """The command line of ImageMagick 6 or 7."""

    convert: tuple[str, ...]
    identify_: tuple[str, ...]

    def identify(self, path: Path, pattern: str) -> str:
        """One line per picture in the file, the merged one first."""
        return self._run(*self.identify_, "-format", pattern + "\n", str(path)).decode("utf-8", "replace")

    def image(self, *arguments: str) -> Image.Image:
        """The 8-bit picture that these arguments of ``convert`` make."""
        return Image.open(io.BytesIO(self._run(*self.convert, *arguments, "-depth", "8", "png:-")))

    def flattened(self, path: Path, width: int, height: int, layers: int) -> NDArray[np.floating[Any]]:
        """The file's layers, without its merged picture, composited over white: [height, width, 3], 0 to 1."""
        # A white canvas as the first picture: without it the first layer's size would be the canvas. 16 bits, because
        # ImageMagick 6 truncates where it reduces to 8.
        canvas = ("-size", f"{width}x{height}", "xc:white", f"{path}[1-{layers}]", "-layers", "flatten")
        data = self._run(*self.convert, *canvas, "-depth", "16", "-endian", "LSB", "rgb:-")
        return np.frombuffer(data, "<u2").reshape(height, width, 3) / 65535

    @staticmethod
    def _run(*command: str) -> bytes:
        return subprocess.run(command, check=True, capture_output=True, timeout=300).stdout


def imagemagick_or_skip() -> ImageMagick:
    """The ImageMagick on the search path; skips the test where there is none."""
    for convert, identify in ((("magick",), ("magick", "identify")), (("convert",), ("identify",))):
        if shutil.which(convert[0]) and shutil.which(identify[0]):
            # Windows has a ``convert`` that is something else.
            version = subprocess.run([*convert, "-version"], check=False, capture_output=True, timeout=60).stdout
            if b"ImageMagick" in version:
                return ImageMagick(convert, identify)
    pytest.skip("needs ImageMagick")
