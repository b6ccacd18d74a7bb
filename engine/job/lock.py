# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that one process at a time may hold."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any

_BEYOND = 1 << 40  # Windows locks bytes, and others may not write to them: so one that no file of ours has


def held(file: IO[Any]) -> bool:
    """Take an open file for this process, until the file is closed. The system lets go of it however the process ends.

    Returns False where it is held through another opening of it, in this process or in another. Where the file system
    has no locks the answer is True.
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
