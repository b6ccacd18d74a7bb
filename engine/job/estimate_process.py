# SPDX-License-Identifier: GPL-3.0-or-later
"""An estimate in a process of its own, which can be ended at any moment, whatever it is reading or computing.

So it delays nothing, its memory is its own, and if there is too little of it for the job, only the estimate ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.looks import in_look
from smalti.bridge.schema import from_mapping

BUDGET = 2.0
"""Seconds for timing steps."""
_START = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from smalti.engine.job.estimate_process import main; raise SystemExit(main())"
)


class EstimateProcess:
    """Estimates one job.

    Args:
        job: the mapping of a `JobSpec`, with absolute paths.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **options,
        )
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended already
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def report(self) -> dict[str, Any] | None:
        """Wait for the estimate: ``seconds``, and ``memory_mb`` or None; None where it was stopped or failed."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        with self._process.stdout as output, suppress(OSError, ValueError, IndexError):
            said: dict[str, Any] = json.loads(output.read().splitlines()[-1])
            return said
        return None

    def stop(self) -> None:
        """End it, at once. May be called by any thread, and again."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Wait for its end, and let go of it."""
        self.stop()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


def main() -> int:
    """Estimate the job on stdin, and write the report to stdout. The end of stdin ends the process."""
    with suppress(AttributeError, OSError):
        os.nice(5)  # what the artist does meanwhile comes first
    line = sys.stdin.readline()
    threading.Thread(target=_leave_with_the_worker, daemon=True).start()
    from .estimate import estimates
    from .report import peak_memory_mb

    try:
        job = from_mapping(JobSpec, in_look(json.loads(line)), "job").checked()
        (found,) = estimates(job, (job.preset,), BUDGET)
    except SmaltiError:
        return 1
    print(json.dumps({"seconds": round(found.seconds, 3), "memory_mb": peak_memory_mb()}), flush=True)
    return 0


def _leave_with_the_worker() -> None:
    with suppress(OSError):
        os.read(0, 1)  # not through sys.stdin, whose lock the end of the process would wait for
    os._exit(1)
