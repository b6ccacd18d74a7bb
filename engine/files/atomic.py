# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either the old one or the whole new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from smalti.bridge.errors import SmaltiError

_HINTS = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "Free some space, or choose another folder.",
    errno.EROFS: "Choose a folder that can be written to.",
    errno.EACCES: "Choose a folder that can be written to.",
    errno.EPERM: "Choose a folder that can be written to.",
    errno.ENOENT: "Create the folder first.",
}


def write_atomic(path: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Create or replace `path` in one step, durably.

    `writer` receives a binary file, open for writing and seekable, that lies in the same folder under another name.
    When it returns, the file is flushed to the disk and takes the name `path`. Whatever goes wrong before, `path` keeps
    its old contents (or stays absent) and the other file is removed.

    Raises:
        SmaltiError: code ``"cannot_write"``, naming the file and the reason. What else `writer` raises passes through.
    """
    if path.exists() and not path.is_file():
        # Replacing a device or a pipe would remove it from the system.
        raise SmaltiError(f"{path}: is not a file that can be replaced.", "Choose another name.", "cannot_write")
    # A short name of its own: the name of `path` plus a suffix could pass the file system's limit of 255 bytes.
    temporary = path.parent / f".smalti-{secrets.token_hex(8)}.tmp"
    try:
        try:
            with open(temporary, "xb") as file:
                writer(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise SmaltiError(
            f"{path}: cannot be written ({reason}).", _HINTS.get(fault.errno or 0, ""), "cannot_write"
        ) from fault
