# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's answers to `Estimate`: one at a time, beside its work and never in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from smalti.bridge.protocol import Cancelled, Error, Estimate, Event, Result

if TYPE_CHECKING:
    from .job.estimate_process import EstimateProcess


class Estimator:
    """Starts estimates and ends them. `send` takes the answers, from any thread."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send = send
        self._changing = threading.Lock()  # guards the two below
        self._id: str | None = None
        self._process: EstimateProcess | None = None

    def begin(self, request: Estimate) -> None:
        """End the estimate that is under way, and begin another. Returns at once."""
        self.stop()
        with self._changing:
            self._id = request.id
        threading.Thread(target=self._work, args=(request,), name="smalti estimate", daemon=True).start()

    def stop(self, request_id: str | None = None) -> bool:
        """End the estimate that is under way: with this id, or None for any. Returns whether there is one."""
        with self._changing:
            if self._id is None or request_id not in (None, self._id):
                return False
            self._id = None
            if self._process is not None:
                self._process.stop()
            return True

    def _work(self, request: Estimate) -> None:
        from .job.estimate_process import EstimateProcess

        report = None
        try:
            process = EstimateProcess(request.job)
        except OSError:
            pass
        else:
            with self._changing:
                stopped = self._id != request.id
                if not stopped:
                    self._process = process
            if not stopped:
                report = process.report()
            process.close()
        with self._changing:
            stopped = self._id != request.id
            if not stopped:
                self._id = self._process = None
        if stopped:
            self._send(Cancelled(request.id))
        elif report is None:
            self._send(Error("no_estimate", "The time that this job takes cannot be estimated.", id=request.id))
        else:
            self._send(Result(request.id, "", report))
