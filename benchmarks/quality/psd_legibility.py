# SPDX-License-Identifier: GPL-3.0-or-later
"""What a layered PSD shows of its bitmaps: `python benchmarks/quality/psd_legibility.py FILE.psd [--target PICTURE]`.

Any program's file, one layer for each sprite. Of the figures in docs/legibility.md it prints those that follow from the
layers alone, as JSON: opacity, owned, mixed, bare, layers, visible.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from psd_tools import PSDImage
from psd_tools.constants import BlendMode

from smalti.bridge.errors import SmaltiError
from smalti.engine.arrays import BoolArray, Float32Array
from smalti.engine.files.images import read_image
from smalti.engine.files.resampling import resize
from smalti.engine.job.legibility import share_above
from smalti.engine.job.legibility.stack import HALF, Stack


def psd_legibility(path: Path, target: Path | None = None) -> dict[str, float | int | None]:
    """The figures of a file by name, rounded; None where nothing is covered.

    A layer that fills the canvas at the bottom of the stack is the background. Hidden layers do not count.

    Args:
        path: the file.
        target: the picture that it shows; where that is transparent, the canvas may be bare.

    Raises:
        SmaltiError: the file is no PSD, has no layers of sprites, or layers that do not blend normally (code
            ``"not_measurable"``); the target cannot be read.
    """
    file = _opened(path)
    layers = [layer for layer in file.descendants() if not layer.is_group() and layer.is_visible()]
    for layer in layers:
        if layer.blend_mode != BlendMode.NORMAL:
            raise _not_measurable(path, f"its layer {layer.name!r} does not blend normally")
    if layers and _is_background(layers[0], file):
        del layers[0]
    stack = Stack(file.height, file.width)
    opacities, visible = [], []
    for layer in reversed(layers):
        alpha, opacity = _alpha(layer), _opacity(layer)
        weight = stack.add(layer.left, layer.top, alpha, opacity)
        if weight is not None:
            opacities.append(opacity)
            visible.append(weight / float(alpha.sum(dtype=np.float64)))
    if not visible:
        raise _not_measurable(path, "it has no layers of sprites")
    found = stack.figures(None if target is None else _empty(target, file.width, file.height))
    each = np.array(opacities)
    figures = {
        "visible": float(np.median(visible)),
        "opacity": float(np.median(each)),
        "opacity_95": share_above(each, 0.95),
        "opacity_99": share_above(each, 0.99),
        "owned": found.owned,
        "mixed": found.mixed,
        "bare": found.bare,
        "layers": found.layers,
    }
    rounded = {name: round(value, 3) if np.isfinite(value) else None for name, value in figures.items()}
    return {**rounded, "sprites": len(visible)}


def _opened(path: Path) -> Any:
    try:
        return PSDImage.open(path)
    except Exception as fault:  # psd-tools raises nearly anything on a damaged file
        raise _not_measurable(path, f"it cannot be read as a PSD ({fault or type(fault).__name__})") from fault


def _not_measurable(path: Path, reason: str) -> SmaltiError:
    return SmaltiError(
        f"{path}: cannot be measured: {reason}.", "Give a PSD with one normal layer for each sprite.", "not_measurable"
    )


def _is_background(layer: Any, file: Any) -> bool:
    """Whether a layer is as large as the canvas and has no transparent pixel, or is called so."""
    if layer.bbox != (0, 0, file.width, file.height):
        return False
    return layer.name == "Background" or bool(_alpha(layer).min() >= 1)


def _alpha(layer: Any) -> Float32Array:
    """[h, w]: the alpha of a layer's pixels, 0 to 1."""
    shape = layer.numpy("shape")
    return np.ones((layer.height, layer.width), np.float32) if shape is None else np.asarray(shape[..., 0], np.float32)


def _opacity(layer: Any) -> float:
    """That of a layer times those of its groups, 0 to 1."""
    opacity = 1.0
    while layer.parent is not None:
        opacity *= layer.opacity / 255
        layer = layer.parent
    return opacity


def _empty(target: Path, width: int, height: int) -> BoolArray:
    """[height, width]: where a picture, stretched over the canvas, is transparent."""
    return np.asarray(resize(read_image(target), width, height)[..., 3] < HALF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.psd")
    parser.add_argument("--target", type=Path, metavar="PICTURE", help="its transparent parts may be bare")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(psd_legibility(options.file, options.target), indent=1))
    except SmaltiError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
