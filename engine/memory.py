# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

LARGE = 24 * 2**20
"""Bytes of a block that goes back to the system as soon as it is freed. Pictures of up to 1,200 pixels a side are
smaller: where the memory of each new one comes from the system, it costs as much as a tenth of drawing it."""
SPARE = 8 * 2**20
"""Bytes of freed memory, at most, that are kept for smaller blocks at the end of what is in use."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def return_large_blocks() -> None:
    """Let large blocks go back to the system when they are freed, in this whole process.

    Otherwise the C library takes the largest block that was freed so far for small, and a fit, which needs other sizes
    than what reads its bitmaps, keeps the memory of both.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # not every C library has this
            library = ctypes.CDLL(None)
            library.mallopt(M_MMAP_THRESHOLD, LARGE)
            library.mallopt(M_TRIM_THRESHOLD, SPARE)


def release_freed_memory() -> None:
    """Give back what was freed in smaller blocks, or in a process that is not ours alone."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
