# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays of the types that the native module takes."""

from __future__ import annotations

import numpy as np

from ..arrays import AnyArray, Float32Array, Float64Array, Int32Array, UInt64Array
from ..raster.atlas import Atlas
from ..raster.scene import Scene
from . import _native as _native


def doubles(array: AnyArray) -> Float64Array:
    """Per-sprite numbers travel in double precision: N of them cost nothing, and positions keep their fractions."""
    return np.ascontiguousarray(array, dtype=np.float64)


def integers(array: AnyArray) -> Int32Array:
    """Indices."""
    return np.ascontiguousarray(array, np.int32)


def picture(array: AnyArray) -> Float32Array:
    """A picture or a plane."""
    return np.ascontiguousarray(array, dtype=np.float32)


def atlas_arrays(atlas: Atlas) -> tuple[UInt64Array, UInt64Array, Int32Array, Int32Array, Float32Array]:
    """What the native module reads of an atlas."""
    return atlas.alpha_quads, atlas.words, atlas.first_level, atlas.levels, atlas.luma


def scene(scene: Scene[AnyArray]) -> _native.Scene:
    """A scene of NumPy arrays."""
    return _native.Scene(
        doubles(scene.affine),
        doubles(scene.opacity),
        doubles(scene.tint),
        integers(scene.template),
        *atlas_arrays(scene.atlas),
        None if scene.background is None else picture(scene.background),
        *scene.size,
        scene.mix,
        scene.shade,
        scene.lod_bias,
        scene.stop,
        scene.first_row,
    )
