# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either the old one or the whole new one, never a half."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from smalti.bridge.errors import SmaltiError

from ..thread_count import map_on_threads

_HINTS = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "Free some space, or choose another folder.",
    errno.EROFS: "Choose a folder that can be written to.",
    errno.EACCES: "Choose a folder that can be written to.",
    errno.EPERM: "Choose a folder that can be written to.",
    errno.ENOENT: "Create the folder first.",
}


_syncfs: Any = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
"""The system's call that flushes a whole file system, given a descriptor of a file on it; None where there is none.
Flushing thousands of files one by one takes ten times as long as writing them, on a disk that is busy."""

MOST_WRITERS = 64
"""Files that are written at a time."""

Writer = Callable[[BinaryIO], object]
"""Writes the contents of a file, which is open for writing, binary and seekable."""


def write_atomic(path: Path, writer: Writer) -> None:
    """Create or replace `path` in one step, durably.

    `writer` receives a file that lies in the same folder under another name. When it returns, the file is flushed to
    the disk and takes the name `path`. Whatever goes wrong before, `path` keeps its old contents (or stays absent) and
    the other file is removed.

    Raises:
        SmaltiError: code ``"cannot_write"``, naming the file and the reason. What else `writer` raises passes through.
    """
    temporary = _temporary(path)
    with _named(path), _removed_on_failure([temporary]):
        with open(temporary, "xb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def write_all_atomic(writers: Mapping[Path, Writer]) -> None:
    """`write_atomic` for many files, on all cores. The disk is flushed once for all, where the system can do that.

    No file takes its name before all of them are on the disk.

    Raises:
        SmaltiError: as `write_atomic`. Unless it is renaming that failed, all paths keep their old contents.
    """
    temporaries = {path: _temporary(path) for path in writers}

    def write(path: Path) -> None:
        with _named(path), open(temporaries[path], "xb") as file:
            writers[path](file)

    with _removed_on_failure(temporaries.values()):
        for _ in map_on_threads(write, writers, most=MOST_WRITERS):
            pass  # an exception is raised here
        for _ in map_on_threads(lambda item: _flush(*item), _to_flush(temporaries).items(), most=MOST_WRITERS):
            pass
        for path, temporary in temporaries.items():
            with _named(path):
                os.replace(temporary, path)


def _to_flush(temporaries: Mapping[Path, Path]) -> Mapping[Path, Path]:
    """What has to be flushed so that all of the files are on the disk: one in each folder may do. Keys are their names
    in messages."""
    if _syncfs is None:
        return temporaries
    return {path: temporaries[path] for path in {path.parent: path for path in temporaries}.values()}


def _flush(path: Path, temporary: Path) -> None:
    """Wait until the file `temporary` is on the disk, and where the system can do that, all others on the disk too."""
    with _named(path), open(temporary, "rb+") as file:
        if _syncfs is None:
            os.fsync(file.fileno())
        elif _syncfs(file.fileno()):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _temporary(path: Path) -> Path:
    """A file in the folder of `path` that nothing else uses. Raises SmaltiError where `path` must not be replaced."""
    if path.exists() and not path.is_file():
        # Replacing a device or a pipe would remove it from the system.
        raise SmaltiError(f"{path}: is not a file that can be replaced.", "Choose another name.", "cannot_write")
    # A short name of its own: the name of `path` plus a suffix could pass the file system's limit of 255 bytes.
    return path.parent / f".smalti-{secrets.token_hex(8)}.tmp"


@contextlib.contextmanager
def _removed_on_failure(files: Iterable[Path]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for file in files:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Makes the system's errors a SmaltiError about `path`."""
    try:
        yield
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise SmaltiError(
            f"{path}: cannot be written ({reason}).", _HINTS.get(fault.errno or 0, ""), "cannot_write"
        ) from fault
