# SPDX-License-Identifier: GPL-3.0-or-later
"""Working memory of a case: how far the resident memory of a process of its own rises above inputs and outputs.

Run as a module, it is that process: one case per line of JSON on stdin, megabytes on stdout. It asks the Linux kernel;
elsewhere there is no reliable source, and no figure.
"""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from .scene import Case

SMALL = Case("cpu", 1, 20, 32, 4.0, 0.5)
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Meter:
    """A process that measures one case after another; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if CLEAR.exists():
            # glibc keeps freed blocks below a limit that adapts to what was freed before; a fixed limit keeps what a
            # case's preparation has freed out of its figure.
            fixed = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=os.environ | fixed,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def working_mb(self, case: Case) -> float | None:
        """MiB that one forward and backward pass, or one step if that is more, take beyond their inputs and outputs.

        None where the system does not report it.
        """
        if case.is_gpu:
            return working_mb_of_gpu(case)
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return None
        try:
            self._process.stdin.write(json.dumps(asdict(case)) + "\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())
        except (OSError, ValueError):  # the process has ended: refused by the system, or out of memory
            return None


def working_mb_of_gpu(case: Case) -> float:
    """As `Meter.working_mb`, of a GPU's memory. What a step keeps for the next counts too."""
    from ..raster.backends import gpu_operations
    from .speed import Passes, optimiser_for

    memory = gpu_operations(case.backend).memory_in_use
    passes = Passes(case)
    passes.backward(passes.forward())
    before = memory(reset_peak=True).now
    passes.backward(passes.forward())
    alone = memory().peak - before - passes.output_bytes
    del passes
    before = memory(reset_peak=True).now
    optimiser = optimiser_for(case)
    float(optimiser.step())
    pictures = 2 * 4 * 4 * case.size**2  # target and background
    return float(max(alone, memory().peak - before - pictures, 0)) / 2**20


def _measured(case: Case) -> float:
    from ..thread_count import on_threads
    from .speed import Passes, optimiser_for

    with on_threads(case.threads):
        passes = Passes(case)
        before = _begin()
        drawn = passes.forward()
        passes.backward(drawn)
        alone = _peak() - before - passes.output_bytes
        del passes, drawn
        optimiser = optimiser_for(case)
        optimiser.step()  # after it, the optimiser's state is there
        before = _begin()
        optimiser.step()
        return max(alone, _peak() - before, 0) / 2**20


def _begin() -> int:
    """Reset the peak. Returns the resident memory now, bytes."""
    gc.collect()
    CLEAR.write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS} has no {name}")
    return 1024 * int(found[1])


def main() -> None:
    """Measure cases until stdin ends, each in a fork of this process, so that none reuses the memory of another."""
    from .speed import optimiser_for

    # Load what is slow to load, once for all. No pass is run: its threads would not survive in a fork.
    optimiser_for(SMALL)
    for line in sys.stdin:
        case = Case(**json.loads(line))
        child = os.fork()
        if child == 0:
            try:
                # A small run first, which is not measured: it loads the rest of the code and starts the threads.
                _measured(replace(SMALL, backend=case.backend, threads=case.threads))
                print(_measured(case), flush=True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
