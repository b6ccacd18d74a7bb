# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads the kernels run on. Results do not depend on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_threads: int | None = None


def threads() -> int:
    """Number of threads: what `on_threads` says, else OMP_NUM_THREADS in the environment, else every processor."""
    if _threads is not None:
        return _threads
    requested = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(requested)) if requested.isdecimal() else _processors()


@contextmanager
def on_threads(number: int) -> Iterator[None]:
    """Within, the kernels run on this number of threads, at least 1."""
    global _threads
    before, _threads = _threads, max(1, number)
    try:
        yield
    finally:
        _threads = before


def _processors() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1
