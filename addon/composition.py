# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a finished job, and what it becomes in Blender's coordinates. Knows no Blender, only NumPy.

The canvas lies in the XY plane with its center at the origin, x to the right and y up, seen from above. Its longer side
is `longer_side` units. Sprite k lies at height ``(k + 1) * DEPTH_STEP * longer_side``, the background at height 0.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bridge import folder as files
from .bridge.choices import BlendSpace
from .bridge.composition import Header, check_arrays, read_header
from .bridge.errors import SmaltiError
from .bridge.levels import Sheet, margin_of, read_sheets

DEPTH_STEP = 1e-4
LOD_OFFSET = -0.6  # as in engine/raster/atlas.py, where the reason stands
_GRID = 64


@dataclass(frozen=True)
class Composition:
    """A job folder's composition: its header, its arrays as `bridge.composition` defines them, and its `sheets`, one
    for each template, as `bridge.levels` defines them."""

    folder: Path
    header: Header
    arrays: dict[str, Any]
    sheets: tuple[Sheet | None, ...]

    @property
    def name(self) -> str:
        """What the artist calls the job: the name of its folder."""
        return self.folder.name or "Smalti"


@dataclass(frozen=True)
class Placed:
    """Every sprite in Blender's units: `location` [F, N, 2], `rotation` about z in radians [F, N], `scale` [F, N, 2]
    (half of width and height), `colour` [F, N, 4] (tint in the blend space, opacity), `height` [N] (constant z)."""

    location: Any
    rotation: Any
    scale: Any
    colour: Any
    height: Any


def load(folder: Path) -> Composition:
    """Read and check a job folder.

    Raises:
        SmaltiError: there is no composition, a file is missing, damaged or of a newer version.
    """
    header = read_header(folder)
    path = folder / files.ARRAYS
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as fault:
        raise SmaltiError(f"{path}: cannot be read ({fault}).", "Fit the job again.", "bad_file") from fault
    check_arrays(header, arrays, str(path))
    for template in header.templates:
        if not (folder / template.file).is_file():
            raise SmaltiError(
                f"{folder / template.file}: the bitmap is missing.",
                "Copy the whole job folder, not only a part of it.",
                "bad_file",
            )
    return Composition(folder, header, arrays, read_sheets(folder, [template.file for template in header.templates]))


def unit(header: Header, longer_side: float) -> float:
    """Blender units per canvas pixel."""
    return longer_side / max(header.width, header.height)


def size(header: Header, longer_side: float) -> tuple[float, float]:
    """Width and height of the canvas in Blender units."""
    return header.width * unit(header, longer_side), header.height * unit(header, longer_side)


def _half_sizes(composition: Composition) -> tuple[Any, Any]:
    """Half of each sprite's width and height in canvas pixels, both [F, N]."""
    arrays = composition.arrays
    sizes = np.array([(t.width, t.height) for t in composition.header.templates], np.float32)
    shape = (sizes / sizes.max(axis=1, keepdims=True))[arrays["template"]]
    stretch = np.exp(arrays["aspect"] / 2)
    return arrays["scale"] * shape[:, 0] * stretch, arrays["scale"] * shape[:, 1] / stretch


def placed(composition: Composition, longer_side: float) -> Placed:
    """The composition as objects' transforms and colors."""
    header, arrays = composition.header, composition.arrays
    size = unit(header, longer_side)
    width, height = _half_sizes(composition)
    x = (arrays["x"] - header.width / 2) * size
    y = (header.height / 2 - arrays["y"]) * size
    return Placed(
        location=np.stack((x, y), -1),
        rotation=-arrays["theta"],
        scale=np.stack((width, height), -1) * size,
        colour=np.concatenate((arrays["tint"], arrays["opacity"][..., None]), -1),
        height=(np.arange(header.sprites, dtype=np.float32) + 1) * np.float32(DEPTH_STEP * longer_side),
    )


def coarsest_levels(composition: Composition) -> Any:
    """The coarsest level that each sprite shows of its sheet in any frame, int [N]; 0 where there is no sheet."""
    sheets = [sheet or Sheet(1, 1, 1, 0) for sheet in composition.sheets]
    finest = np.array([(sheet.width * sheet.height, sheet.count - 1) for sheet in sheets])[
        composition.arrays["template"]
    ]
    width, height = _half_sizes(composition)
    lod = 0.5 * np.log2(finest[:, 0] / (4 * width * height)) + LOD_OFFSET
    return np.ceil(lod.max(0)).clip(0, finest[:, 1]).astype(int)


def deepest_stack(composition: Composition) -> int:
    """An upper bound of the number of layers over any one pixel in any frame, the background not counted.

    Counts bounding boxes over a coarse grid, in time proportional to the sprites.
    """
    header, arrays = composition.header, composition.arrays
    margins = 1 + np.array([margin_of(sheet) for sheet in composition.sheets], np.float32)[arrays["template"]]
    width, height = (half * margins[:, axis] for axis, half in enumerate(_half_sizes(composition)))
    cosine, sine = np.abs(np.cos(arrays["theta"])), np.abs(np.sin(arrays["theta"]))
    reach = {"x": width * cosine + height * sine, "y": width * sine + height * cosine}
    cells = {}
    for axis, length in (("x", header.width), ("y", header.height)):
        first = np.floor((arrays[axis] - reach[axis]) * (_GRID / length))
        last = np.floor((arrays[axis] + reach[axis]) * (_GRID / length))
        seen = (last >= 0) & (first < _GRID)
        cells[axis] = (np.clip(first, 0, _GRID - 1).astype(int), np.clip(last, 0, _GRID - 1).astype(int), seen)
    deepest = 0
    for frame in range(header.frames):
        seen = cells["x"][2][frame] & cells["y"][2][frame]
        (left, right), (top, bottom) = ([edge[frame][seen] for edge in cells[axis][:2]] for axis in "xy")
        steps = np.zeros((_GRID + 1, _GRID + 1), int)
        for rows, columns, sign in (
            (top, left, 1),
            (top, right + 1, -1),
            (bottom + 1, left, -1),
            (bottom + 1, right + 1, 1),
        ):
            np.add.at(steps, (rows, columns), sign)
        deepest = max(deepest, int(steps.cumsum(0).cumsum(1).max()))
    return deepest


def numbers(colour: str, space: BlendSpace) -> tuple[float, float, float]:
    """A color ``#rrggbb`` (sRGB) in the numbers of the blend space, 0 to 1."""
    encoded = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    if space == "linear":
        encoded = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in encoded]
    return encoded[0], encoded[1], encoded[2]
