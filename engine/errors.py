# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns exceptions into the one kind that is shown to a user."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from smalti.bridge.errors import SmaltiError

REINSTALL = "Reinstall Smalti, from the folder of its source: pip install --force-reinstall --no-deps ."
"""The hint where a part of Smalti itself is missing or does not work."""

_NO_MEMORY = re.compile("out of memory|allocate memory|not enough memory", re.IGNORECASE)  # what torch's errors say


def unreadable(path: Path, fault: OSError, code: str) -> SmaltiError:
    """Say that a file or folder is there, but cannot be read."""
    return SmaltiError(f"{path}: cannot be read ({fault.strerror}).", "Check its permissions.", code)


def explained(fault: BaseException) -> SmaltiError:
    """Say in one sentence what went wrong.

    Codes besides those of a SmaltiError, which is returned as it is: ``"disk_full"``, ``"out_of_memory"``, and
    ``"internal"`` for everything that only a programmer can put right.
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
