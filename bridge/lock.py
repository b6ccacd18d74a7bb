# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on files, which one process at a time can have."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

_BEYOND = 1 << 40
"""Offset of the locked byte on Windows, beyond the end of any log: other processes cannot write to a locked byte."""

PATIENCE = 0.2
"""Seconds for which a lock is tried again: `is_locked` has it for a moment."""


def try_lock(file: IO[Any], patience: float = PATIENCE) -> bool:
    """Lock an open file until it is closed. The system releases the lock however the process ends.

    Args:
        file: open for writing.
        patience: seconds for which a lock that another opening has is tried again.

    Returns:
        False if it is locked through another opening of it, in this process or in another. True otherwise, also on a
        file system without locks.
    """
    until = time.monotonic() + patience
    while not _tried(file):
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
    return True


def is_locked(path: Path) -> bool:
    """Whether another opening of a file has it locked. A file that is missing or cannot be opened is not."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        return not _tried(file)
    return False


def _tried(file: IO[Any]) -> bool:
    """`try_lock` without patience."""
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
