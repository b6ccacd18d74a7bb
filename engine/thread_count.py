# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads the kernels run on, and work in Python on several. Results do not depend on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

FEW = 8
"""Items for which another thread is started."""

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


def map_on_threads(function: Callable[[ItemT], ResultT], items: Collection[ItemT], most: int) -> Iterator[ResultT]:
    """The results of a function that lets go of the interpreter, in order, as far as it pays on several threads.

    Few items are taken one after another in this thread: a thread keeps the memory that it once needed.

    Args:
        most: threads, however many processors there are.
    """
    count = min(os.cpu_count() or 1, most, len(items) // FEW)
    if count < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(function, items)


def _processors() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1
