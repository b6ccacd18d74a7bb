# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def release_freed_memory() -> None:
    """Give back what was freed: after large pictures the C library keeps it, and a fit needs other sizes of blocks."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # not every C library has this
            ctypes.CDLL(None).malloc_trim(0)
