# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on files, which one process at a time can have."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any

_BEYOND = 1 << 40
"""Offset of the locked byte on Windows, beyond the end of any log: other processes cannot write to a locked byte."""


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file until it is closed. The system releases the lock however the process ends.

    Returns:
        False if it is locked through another opening of it, in this process or in another. True otherwise, also on a
        file system without locks.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file.fileno(), _BEYOND, os.SEEK_SET)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except PermissionError:
                return False
        else:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True
