# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads the kernels and torch's own operations run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_threads: int | None = None


def threads() -> int:
    """Number of threads that the kernels use: torch's setting, also inside `threads_to_kernels`."""
    return torch.get_num_threads() if _threads is None else _threads


@contextmanager
def threads_to_kernels() -> Iterator[None]:
    """Within, the kernels keep torch's number of threads, and torch's own operations run on one.

    Between two calls of the kernels torch has little to do, and its OpenMP threads, which spin while they wait, cost
    more than they give: on a machine that is busy otherwise, a step took five times as long.
    """
    global _threads
    before = torch.get_num_threads()
    outer, _threads = _threads, threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _threads = outer
        torch.set_num_threads(before)


@contextmanager
def threads_to_torch() -> Iterator[None]:
    """Within, torch's own operations have their threads back (see `threads_to_kernels`): for a network, they pay."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
