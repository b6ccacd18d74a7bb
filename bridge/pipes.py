# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole lines over a pipe, on raw descriptors.

Raw, because a buffered file object has a lock: a background thread that sits in its ``readline`` while the interpreter
shuts down would abort the process (Blender, at the moment it quits).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator

LONGEST = 64_000_000
"""Bytes of a line. No message comes near it."""

_CHUNK = 65_536


class LineQueue:
    """Lines, from a thread that reads them to one that polls. None is the end.

    Args:
        most: lines that may wait; then `put` waits too, and so does the program that writes them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: deque[bytes | None] = deque()
        self._changed = threading.Condition()
        self._dropped = False

    def put(self, line: bytes | None) -> bool:
        """Add a line, as soon as there is room. Returns False once they were dropped."""
        with self._changed:
            self._changed.wait_for(lambda: self._dropped or len(self._lines) < self._most)
            if not self._dropped:
                self._lines.append(line)
            return not self._dropped

    def take(self, most: int) -> list[bytes | None]:
        """Take the lines that are there, at most `most`. Never waits for one."""
        with self._changed:
            taken = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
            self._changed.notify_all()
        return taken

    def drop(self) -> None:
        """Take no more lines."""
        with self._changed:
            self._dropped = True
            self._lines.clear()
            self._changed.notify_all()


def read_lines(descriptor: int, longest: int = LONGEST) -> Iterator[bytes]:
    """Yield every line that arrives, without its line feed, until the other end closes. Blocks between lines.

    What follows the last line feed is yielded too. A descriptor that breaks counts as closed, and so does one that
    brings a line of more than `longest` bytes, of which the beginning is yielded.
    """
    parts: list[bytes] = []
    length = 0
    while length <= longest:
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
            length = 0
        if rest:
            parts.append(rest)
            length += len(rest)
    if parts:
        yield b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; blocks while the pipe is full. Raises OSError where the other end is gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
