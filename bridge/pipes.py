# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole lines over a pipe, on raw descriptors.

Raw, because a buffered file object has a lock: a background thread that sits in its ``readline`` while the interpreter
shuts down would abort the process (Blender, at the moment it quits).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_CHUNK = 65_536


def read_lines(descriptor: int) -> Iterator[bytes]:
    """Yield every line that arrives, without its line feed, until the other end closes. Blocks between lines.

    What follows the last line feed is yielded too. A descriptor that breaks counts as closed.
    """
    parts: list[bytes] = []
    while True:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            break
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            yield b"".join((*parts, line))
            parts.clear()
        if rest:
            parts.append(rest)
    if parts:
        yield b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; blocks while the pipe is full. Raises OSError where the other end is gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
