# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that may wait for a disk, in threads, so that a window never does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from queue import SimpleQueue
from typing import Any

STUCK = 10.0
"""Seconds after which work counts as stuck: a network drive that is gone. Its thread is left to itself."""


class Background:
    """Starts work, one piece for each key at a time, and hands its results over. Use it from one thread.

    Args:
        most: pieces that are at work together, those that are stuck not counted; others are not started.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._since: dict[Hashable, float] = {}
        self._done: SimpleQueue[tuple[Hashable, Any]] = SimpleQueue()

    @property
    def busy(self) -> bool:
        """Whether a result may come soon."""
        return self._going() > 0 or not self._done.empty()

    def start(self, key: Hashable, work: Callable[[], Any]) -> bool:
        """Do `work`, which raises nothing, in a thread. False where that of this key goes on, or too much does."""
        if key in self._since or self._going() >= self._most:
            return False
        self._since[key] = time.monotonic()

        def run() -> None:
            done.put((key, work()))

        done = self._done
        threading.Thread(target=run, name="smalti background", daemon=True).start()
        return True

    def results(self, most: int = 1000) -> list[tuple[Hashable, Any]]:
        """Keys and results of what is done since the last call, `most` of them."""
        found = [self._done.get() for _ in range(min(most, self._done.qsize()))]
        for key, _ in found:
            self._since.pop(key, None)
        return found

    def _going(self) -> int:
        now = time.monotonic()
        return sum(now < since + STUCK for since in self._since.values())
