# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a process of its own, as a client such as Blender sees it.

Example::

    engine = EngineProcess(EnginePlace(python), log_path)
    engine.start()
    engine.send(Fit(id="1", job=to_mapping(job), out="/absolute/path"))
    while True:  # in Blender: a timer, ten times a second
        for event in engine.poll():
            print(event)

Nothing here blocks but `EngineProcess.close`, and nothing raises because an engine is missing, broken or dead: every
such thing arrives as an `Error` event. The worker runs in a neutral folder, so all paths in requests must be absolute.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Self

from .engine_place import EnginePlace, environment
from .errors import SmaltiError
from .exit_status import reason_of, status_text
from .pipes import LineQueue, read_lines, write_all
from .protocol import (
    EVENTS,
    PROTOCOL,
    REVISION,
    REVISION_VARIABLE,
    Cancelled,
    Error,
    Event,
    Export,
    Fit,
    Hello,
    Log,
    Request,
    Result,
    Resume,
    Shutdown,
    decode,
    encode,
    other_protocol,
)

START_LIMIT = 60.0
"""Seconds that an engine may take to say Hello. It says so before it loads anything heavy."""

_GRACE = 1.0  # seconds between the two signs of an end: closed output and exit status
_LOG_LIMIT = 4_000_000  # bytes; a longer log is truncated at the next start
_TAIL_BYTES = 32_768
_MOST_LINES = 2_000  # that wait for `poll`; an engine that writes more waits with them
_AT_ONCE = 200  # lines that one `poll` takes, so that it is short
_UNREADABLE = 100  # lines, after which it is no engine


class EngineProcess:
    """One worker process and the conversation with it.

    Use it from one thread. It can be started again after it has died or was closed; nothing of the former run is left.

    Args:
        place: where the engine is.
        log_path: file to which the worker's stderr is appended (made together with its folder).
    """

    def __init__(self, place: EnginePlace, log_path: Path) -> None:
        self._place, self._python = place, place.python
        self._log_path = Path(log_path)
        self._process: subprocess.Popen[bytes] | None = None
        self._synthesized: list[Event] = []
        self._reset()

    def _reset(self) -> None:
        # New queues for every run: a thread left over from a former run can only fill an abandoned one.
        self._incoming = LineQueue(_MOST_LINES)
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._unanswered: list[str] = []
        self._hello: Hello | None = None
        self._output_closed = False
        self._unreadable = 0
        self._end_seen: float | None = None
        self._end_expected = False
        self._started = time.monotonic()
        self._log_start = 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether a request is still unanswered, as far as `poll` has seen."""
        return bool(self._unanswered)

    @property
    def hello(self) -> Hello | None:
        """The engine's Hello, or None before it has arrived."""
        return self._hello

    def start(self) -> None:
        """Start the engine, or do nothing while it runs. What goes wrong is reported by `poll`."""
        if self.alive:
            return
        # An end that was not polled yet is reported before the state is reset.
        self._synthesized = self._collected(patient=False)
        self._reset()
        try:
            self._process = self._spawn()
        except (OSError, ValueError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
            what = (
                f"{self._python}: cannot be started ({reason})." if self._python else "No Python is set for the engine."
            )
            advice = "Choose the Python of the environment in which Smalti's engine is installed."
            self._synthesized.append(Error("engine_missing", what, advice))
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for work, arguments in (
            (_pump_out, (self._process.stdin, self._outgoing)),
            (_pump_in, (self._process.stdout, self._incoming)),
        ):
            threading.Thread(target=work, args=arguments, name=f"smalti{work.__name__}", daemon=True).start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self._place.command
        if os.path.dirname(command[0]):
            command[0] = os.path.abspath(command[0])
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        else:
            options["start_new_session"] = True
        with self._open_log() as log:
            return subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=tempfile.gettempdir(),
                env={**environment(), REVISION_VARIABLE: str(REVISION)},
                **options,
            )

    def _open_log(self) -> IO[bytes]:
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            log = self._log_path.open("ab", buffering=0)
            if log.tell() > _LOG_LIMIT:
                log.truncate(0)
            self._log_start = log.seek(0, os.SEEK_END)
            return log
        except OSError as fault:
            self._synthesized.append(
                Log("warning", f"{self._log_path}: the engine's log cannot be written ({fault.strerror}).")
            )
            return open(os.devnull, "wb", buffering=0)

    def send(self, request: Request) -> None:
        """Queue a request for the engine; returns at once.

        A request to an engine that does not run is answered by an `Error` from `poll`: why it could not be started, or
        code ``"engine_stopped"``.

        Raises:
            ValueError: the request holds a number that is not finite.
        """
        line = encode(request)
        if self._process is None:
            if isinstance(request, Fit | Resume | Export):
                self._refuse(request.id)
            return
        if isinstance(request, Fit | Resume | Export):
            self._unanswered.append(request.id)
        self._end_expected |= isinstance(request, Shutdown)
        self._outgoing.put(line)

    def _refuse(self, task_id: str) -> None:
        last = self._synthesized[-1] if self._synthesized else None
        if isinstance(last, Error) and last.id is None:
            self._synthesized[-1] = dataclasses.replace(last, id=task_id)
        else:
            self._synthesized.append(Error("engine_stopped", "The engine does not run.", "Start it again.", id=task_id))

    def poll(self) -> list[Event]:
        """What has happened since the last call, oldest first. Never blocks.

        An engine that ends by itself is reported by one last `Error` with the id of the oldest unanswered request: code
        ``"engine_missing"`` (no Python, or no engine in it), ``"protocol_mismatch"`` (another version of Smalti),
        ``"engine_silent"`` (it never said Hello), ``"engine_garbled"`` (what it writes cannot be read) or
        ``"engine_died"``. Later requests have ended with it.
        """
        return self._collected(patient=True)

    def _collected(self, patient: bool) -> list[Event]:
        events, self._synthesized = self._synthesized, []
        lines = self._incoming.take(_AT_ONCE)
        for line in lines:
            if line is None:
                self._output_closed = True
                break
            if not line.strip():
                continue
            event = self._decoded(line)
            events.append(event)
            if isinstance(event, Error) and event.code in ("protocol_mismatch", "engine_garbled"):
                self._kill()
                return events
        if len(lines) == _AT_ONCE and patient:
            return events  # what it has written comes before its end
        end = self._end(patient)
        if end is not None:
            events.append(end)
        return events

    def _decoded(self, line: bytes) -> Event:
        try:
            event: Event = decode(line, EVENTS)
        except SmaltiError as fault:
            if (other := other_protocol(line)) is not None:
                return self._mismatch(other)
            self._unreadable += 1
            if self._unreadable > _UNREADABLE:
                return self._garbled()
            return Log("warning", f"The engine wrote something that is {fault.message}")
        if isinstance(event, Hello):
            if event.protocol != PROTOCOL:
                return self._mismatch(f"{event.protocol} (version {event.engine_version})")
            self._hello = event
        elif isinstance(event, Result | Cancelled | Error) and event.id in self._unanswered:
            self._unanswered.remove(event.id)
        return event

    def _mismatch(self, other: str) -> Error:
        return Error(
            "protocol_mismatch",
            f"The engine in {self._python} speaks protocol {other}, and this client speaks {PROTOCOL}.",
            "Update Smalti's engine and its add-on to the same version.",
            id=self._oldest(),
        )

    def _garbled(self) -> Error:
        return Error(
            "engine_garbled",
            f"What {self._python} writes cannot be read, so it was stopped.",
            self._hint("Check that it is the Python in which Smalti's engine is installed."),
            id=self._oldest(),
        )

    def _end(self, patient: bool) -> Error | None:
        """The error that reports the engine's end, once, if it was not requested.

        With `patient`, wait over a few calls until both signs of the end are there.
        """
        if self._process is None:
            return None
        now = time.monotonic()
        status = self._process.poll()
        if status is None and not self._output_closed:
            if self._hello is not None or now < self._started + START_LIMIT:
                return None
            error = Error(
                "engine_silent",
                f"{self._python} runs, but no engine answered within {START_LIMIT:.0f} seconds.",
                self._hint("Check that it is the Python in which Smalti's engine is installed."),
                id=self._oldest(),
            )
            self._kill()
            return error
        # One sign of the end is seen. Wait a moment for the other: the last lines, or the exit status.
        self._end_seen = now if self._end_seen is None else self._end_seen
        if patient and (status is None or not self._output_closed) and now < self._end_seen + _GRACE:
            return None
        oldest, expected, ready = self._oldest(), self._end_expected, self._hello is not None
        self._kill()
        if expected:
            return None
        if not ready and re.search(r"No module named '?smalti", self.log_tail(200)):
            return Error(
                "engine_missing",
                f"Smalti's engine is not installed in {self._python}.",
                self._hint("Install it there, or choose the Python in which it is installed."),
                id=oldest,
            )
        when = "" if ready else " before it was ready"
        return Error(
            "engine_died",
            f"The engine stopped{when} ({status_text(status)}).",
            self._hint(reason_of(status)),
            id=oldest,
        )

    def _oldest(self) -> str | None:
        return self._unanswered[0] if self._unanswered else None

    def _hint(self, advice: str = "") -> str:
        tail = self.log_tail()
        return "\n".join(filter(None, (advice, tail, f"Log: {self._log_path}" if tail else "")))

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the engine wrote to its log since it was started; empty where there are none."""
        try:
            with self._log_path.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, end - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def close(self, timeout: float = 2.0) -> None:
        """End the engine: close its stdin, wait up to `timeout` seconds, then kill it.

        A running job keeps its checkpoint; requests without an answer get none. Does nothing where no engine runs.
        """
        process = self._process
        if process is None:
            return
        self._outgoing.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
        self._kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)

    def let_go(self) -> threading.Thread | None:
        """`close` at once: a thread waits for the end, which is returned; None where no engine runs."""
        if self._process is None:
            return None
        left = copy.copy(self)
        self._process = None
        self._reset()
        thread = threading.Thread(target=left.close, name="smalti_close", daemon=True)
        thread.start()
        return thread

    def kill(self, patience: float = 0.2) -> None:
        """End the engine at once; wait up to `patience` seconds for that. Requests without an answer get none."""
        process = self._process
        self._kill()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)

    def _kill(self) -> None:
        """Make sure that the process is gone, and forget it. Does not wait."""
        process, self._process = self._process, None
        self._outgoing.put(None)
        self._unanswered.clear()
        self._incoming.drop()
        self._incoming = LineQueue(_MOST_LINES)
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                # The group, which is the engine's own (start_new_session): with all that it may have started.
                os.killpg(process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _pump_in(pipe: IO[bytes], queue: LineQueue) -> None:
    with pipe:
        for line in read_lines(pipe.fileno()):
            if not queue.put(line):
                break
    queue.put(None)


def _pump_out(pipe: IO[bytes], queue: SimpleQueue[bytes | None]) -> None:
    # A thread, so that an engine that does not read (stopped, or busy at start) cannot block the caller of send().
    with contextlib.suppress(OSError), pipe:
        while (line := queue.get()) is not None:
            write_all(pipe.fileno(), line)
