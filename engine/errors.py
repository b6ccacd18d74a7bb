# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors: any exception as the one kind that users see."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from smalti.bridge.errors import SmaltiError

REINSTALL = "Reinstall Smalti, from the folder of its source: pip install --force-reinstall --no-deps ."
"""The hint for a part of Smalti itself that is missing or does not work."""

_NO_MEMORY = re.compile("out of memory|allocate memory|not enough memory", re.IGNORECASE)
"""Found in the messages of torch's RuntimeErrors."""


def unreadable(path: Path, fault: OSError, code: str) -> SmaltiError:
    """An error for a file or folder that exists but cannot be read."""
    return SmaltiError(f"{path}: cannot be read ({fault.strerror}).", "Check its permissions.", code)


def to_user_error(fault: BaseException) -> SmaltiError:
    """An error that tells a user in one sentence what went wrong. A SmaltiError is returned as it is.

    Its code is ``"disk_full"``, ``"out_of_memory"``, ``"system_error"`` (the operating system refused something), or
    ``"internal"`` for everything that only a programmer can fix.
    """
    if isinstance(fault, SmaltiError):
        return fault
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"{fault.filename}: the" if fault.filename else "The"
        return SmaltiError(f"{where} disk is full.", "Free some space, or choose another output folder.", "disk_full")
    if isinstance(fault, MemoryError) or (isinstance(fault, RuntimeError) and _NO_MEMORY.search(str(fault))):
        return SmaltiError(
            "There is not enough memory for this job.",
            "Choose a smaller size or count, or close other programs.",
            "out_of_memory",
        )
    if isinstance(fault, OSError) and fault.filename and fault.strerror:
        return SmaltiError(
            f"{fault.filename}: {fault.strerror}.", "Check the path and its permissions.", "system_error"
        )
    text = " ".join(str(fault).split())
    return SmaltiError(
        f"Smalti failed unexpectedly: {type(fault).__name__}{': ' if text else ''}{text[:500]}.".replace("..", "."),
        "This is a fault in Smalti; the details are in its log.",
        "internal",
    )
