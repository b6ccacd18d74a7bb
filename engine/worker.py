# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge's other end: reads requests from stdin, works on one at a time, writes events to stdout.

Three threads. The main thread does the work. The reader takes requests as they come, so that a cancel is heard at once.
A third waits for SIGTERM. Whatever ends the conversation (end of stdin, a broken stdout, ``Shutdown``, SIGTERM) asks
the job to stop, which keeps a checkpoint, and sets a limit after which the process leaves in any case.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.looks import in_look
from smalti.bridge.pipes import read_lines, write_all
from smalti.bridge.protocol import (
    PROTOCOL,
    REQUESTS,
    REVISION,
    REVISION_VARIABLE,
    Cancel,
    Cancelled,
    Cancelling,
    Error,
    Estimate,
    Event,
    Export,
    Fit,
    Hello,
    Log,
    Preview,
    Progress,
    Request,
    Result,
    Resume,
    Shutdown,
    decode,
    encode,
)
from smalti.bridge.schema import from_mapping
from smalti.bridge.version import VERSION

from .devices import available_devices, default_device, device_reason
from .errors import to_user_error
from .estimator import Estimator

if TYPE_CHECKING:
    from .job.run import Outcome

LEAVE_LIMIT = 1.5
"""Seconds from the end of the conversation to the end of the process, whatever the job does."""

PROGRESS_INTERVAL = 0.1
"""Seconds between two `Progress` events of one stage."""


class _Task:
    """A request that asks for work, from its arrival to its answer."""

    def __init__(self, request: Fit | Resume | Export) -> None:
        self.request = request
        self.started = False
        self.stop = threading.Event()


class _Listener:
    """What a job calls; turns it into events, `Progress` throttled. The last one of every stage is always sent."""

    def __init__(self, task_id: str, send: Callable[[Event], None]) -> None:
        self._id = task_id
        self._send = send
        self._stage: str | None = None
        self._held: Progress | None = None
        self._sent_at = 0.0

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        if stage != self._stage:
            self.flush()
        now = time.monotonic()
        # The end of a stage is not held back: what follows may take long without a word.
        due = stage != self._stage or done >= total or now >= self._sent_at + PROGRESS_INTERVAL
        self._stage = stage
        self._held = Progress(self._id, stage, done, total, _finite(loss), _finite(eta))
        if due:
            self._sent_at = now
            self.flush()

    def flush(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._send(held)

    def preview(self, path: Path) -> None:
        self._send(Preview(self._id, str(path)))


class _LogEvents(logging.Handler):
    """Sends what the engine logs as `Log` events."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(logging.INFO)
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        level = "warning" if record.levelno >= logging.WARNING else "info"
        self._worker.send(Log(level, record.getMessage(), self._worker.current))  # type: ignore[arg-type]


class Worker:
    """One conversation over two descriptors: requests from `source`, events to `sink`."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        revision = os.environ.get(REVISION_VARIABLE, "")
        self._revision = int(revision) if revision.isdecimal() else 0
        self._sending = threading.Lock()
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._tasks: dict[str, _Task] = {}  # not answered yet
        self._known: set[str] = set()  # every id that was ever used
        self._changing = threading.Lock()  # guards the two above and _Task.started
        self._leaving = threading.Event()
        self._estimator = Estimator(self.send)
        self.current: str | None = None

    def run(self) -> None:
        """Say Hello and serve until the conversation ends."""
        python = sys.version.split()[0]
        devices = available_devices()
        self.send(Hello(PROTOCOL, VERSION, default_device(), devices, python, REVISION, device_reason()))
        threading.Thread(target=self._read, name="smalti requests", daemon=True).start()
        while (task := self._queue.get()) is not None and not self._leaving.is_set():
            self._work(task)

    def leave(self) -> None:
        """Ask the job to stop and see to it that the process ends. May be called by any thread, and again."""
        if self._leaving.is_set():
            return
        self._leaving.set()
        self._estimator.stop()
        self._queue.put(None)
        # Its clock runs outside Python, so not even a job that never lets go of the interpreter delays it; and the log
        # shows where such a job was.
        faulthandler.dump_traceback_later(LEAVE_LIMIT, exit=True, file=2)

    def send(self, event: Event) -> None:
        """Send an event; may be called by any thread. Leaves if the client is gone."""
        self._write(encode(event, self._revision))

    def _write(self, line: bytes) -> None:
        try:
            with self._sending:
                write_all(self._sink, line)
        except OSError:
            self.leave()

    def _read(self) -> None:
        try:
            for line in read_lines(self._source):
                if line.strip():
                    self._take(line)
        finally:
            self.leave()

    def _take(self, line: bytes) -> None:
        try:
            request: Request = decode(line, REQUESTS)
        except SmaltiError as fault:
            self.send(Error(fault.code, f"The engine was sent something that is {fault.message}", fault.hint))
            return
        match request:
            case Shutdown():
                self.leave()
            case Cancel():
                self._cancel(request.id)
            case Estimate():
                self._estimate(request)
            case Fit() | Resume() | Export():
                self._estimator.stop()
                self._enqueue(_Task(request))

    def _estimate(self, request: Estimate) -> None:
        with self._changing:
            at_work = bool(self._tasks)
        if not self._is_new(request.id):
            return
        if at_work:
            self.send(Cancelled(request.id))
        else:
            self._estimator.begin(request)

    def _is_new(self, request_id: str, task: _Task | None = None) -> bool:
        """Whether no request had this id; says so where one had. Keeps it, and the task that has it."""
        with self._changing:
            used = request_id in self._known
            if not used:
                self._known.add(request_id)
                if task is not None:
                    self._tasks[request_id] = task
        if used:
            # Without the id: it would end the other request of that name in the eyes of the client.
            self.send(Error("duplicate_id", f"A request with the id {request_id!r} was sent before.", "Use a new id."))
        return not used

    def _enqueue(self, task: _Task) -> None:
        if self._is_new(task.request.id, task):
            self._queue.put(task)

    def _cancel(self, task_id: str) -> None:
        if self._estimator.stop(task_id):  # which answers the request
            self.send(Cancelling(task_id))
            return
        with self._changing:
            task = self._tasks.get(task_id)
            known = task_id in self._known
            waiting = task is not None and not task.started
            if waiting:
                del self._tasks[task_id]  # which also tells the main thread to skip it
        if task is not None:
            self.send(Cancelling(task_id))
            task.stop.set()
            if waiting:
                self.send(Cancelled(task_id))
        elif known:
            self.send(Log("info", "The request had ended before the cancel came.", task_id))
        else:
            self.send(Error("unknown_id", f"There is no request {task_id!r} to cancel.", id=task_id))

    def _work(self, task: _Task) -> None:
        task_id = task.request.id
        with self._changing:
            if task_id not in self._tasks:
                return
            task.started = True
        self.current = task_id
        listener = _Listener(task_id, self.send)
        try:
            answer = encode(self._answer(task, listener), self._revision)
        except BaseException as fault:  # whatever a job does, SystemExit included, the worker goes on
            traceback.print_exc()
            answer = encode(_error(to_user_error(fault), task_id), self._revision)
        listener.flush()
        with self._changing:
            del self._tasks[task_id]
        self.current = None
        self._write(answer)

    def _answer(self, task: _Task, listener: _Listener) -> Event:
        """Do the work. The imports are here because Hello must not wait for them."""
        listener.progress("prepare", 0, 1, None, None)  # heard at once, while those imports go on

        def should_stop() -> bool:
            return task.stop.is_set() or self._leaving.is_set()

        match task.request:
            case Fit() as fit:
                from .job.run import run_job

                job = from_mapping(JobSpec, in_look(fit.job), "job").checked()
                _require_absolute(out=fit.out, **job.paths)
                out = Path(fit.out)
                outcome = run_job(job, out, overwrite=fit.overwrite, listener=listener, should_stop=should_stop)
                return _answer_of(fit.id, outcome)
            case Resume() as resume:
                from .job.run import resume_job

                _require_absolute(out=resume.out)
                return _answer_of(resume.id, resume_job(Path(resume.out), listener=listener, should_stop=should_stop))
            case Export() as request:
                from .export import export_job

                _require_absolute(job=request.job, path=request.path or None)
                path = Path(request.path) if request.path else None
                listener.progress("export", 0, 1, None, None)
                return Result(request.id, str(export_job(Path(request.job), request.format, path)))


def _error(fault: SmaltiError, task_id: str) -> Error:
    plain = fault.message, fault.hint
    return Error(fault.code, *plain, task_id, fault.marked if fault.marked != plain else None)


def _answer_of(task_id: str, outcome: Outcome) -> Result | Cancelled:
    kind = Cancelled if outcome.cancelled else Result
    return kind(task_id, str(outcome.folder), outcome.report)


def _require_absolute(**paths: str | None) -> None:
    # The worker's current folder is not the client's, so a relative path would be looked for, or written, elsewhere.
    for name, path in paths.items():
        if path is not None and not Path(path).is_absolute():
            raise SmaltiError(f"{path}: {name} is a relative path.", "Give the whole path.", "relative_path")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _claim_standard_streams() -> tuple[int, int]:
    """Take stdin and stdout away from everything else in the process; return private descriptors of both.

    What anything prints goes to stderr, the log. Stdin becomes empty, so that nothing else can eat requests; on Windows
    it has to, because loading a library (NumPy's) looks at the standard streams, which blocks for as long as
    another thread waits for input on the same pipe.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _leave_on_sigterm(worker: Worker) -> None:
    """Let SIGTERM end the conversation at once, also while the main thread computes.

    Python runs handlers in the main thread, between two of its own steps; the wake-up descriptor is written to at once.
    """
    if sys.platform == "win32":
        return  # nothing sends it there
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        os.read(read_end, 1)
        worker.leave()

    threading.Thread(target=wait, name="smalti SIGTERM", daemon=True).start()


def main() -> int:
    """Serve a client until it leaves. The process's stdin and stdout are taken over for good. Returns 0."""
    worker = Worker(*_claim_standard_streams())
    # A Ctrl-C in the terminal that Blender was started from goes to everything in it; the client decides, not the key.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_on_sigterm(worker)
    to_file = logging.StreamHandler(sys.stderr)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("smalti")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(to_file)
    logger.addHandler(_LogEvents(worker))
    worker.run()
    return 0
