# SPDX-License-Identifier: GPL-3.0-or-later
"""Names for NumPy arrays of one type of number. Shapes stand in the docstrings of the functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
UInt16Array = NDArray[np.uint16]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
UInt64Array = NDArray[np.uint64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntegerArray = NDArray[np.integer[Any]]
"""Whole numbers of any width."""
FloatArray = NDArray[np.floating[Any]]
"""Floating-point numbers of any width."""
AnyArray = NDArray[Any]
"""Numbers of any type."""
