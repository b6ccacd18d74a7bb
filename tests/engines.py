# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the engine, and waiting for what it says."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smalti.bridge.client import EngineProcess
from smalti.bridge.engine_place import EnginePlace
from smalti.bridge.job import JobSpec
from smalti.bridge.protocol import Event, Fit, Progress
from smalti.bridge.schema import to_mapping

PATIENCE = 30.0
"""Seconds after which a test gives up waiting; no promise of Smalti's."""

WORKER = f"""
import sys
sys.path[:] = {sys.path!r}
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import fake_run
sys.modules["smalti.engine.job.run"] = fake_run
from smalti.engine.worker import main
raise SystemExit(main())
"""
"""The real worker, whose jobs are those of FAKE_RUN."""

REAL_WORKER = f"""
import sys
sys.path[:] = {sys.path!r}
import smalti.engine.job.run
smalti.engine.job.run.CHECKPOINT_SECONDS = 0.02
from smalti.engine.worker import main
raise SystemExit(main())
"""
"""The real worker and real jobs, which keep a checkpoint very often."""

FAKE_RUN = '''
"""Jobs that do what the name of their target says."""
import errno, logging, os, signal, subprocess, sys, time
from pathlib import Path
from types import SimpleNamespace
from smalti.bridge.errors import SmaltiError

log = logging.getLogger("smalti.fake")

def outcome(out, cancelled=False, **report):
    return SimpleNamespace(folder=out, report=report, cancelled=cancelled)

def run_job(job, out, *, overwrite=False, listener, should_stop):
    return globals()[Path(job.target).name](job, out, listener, should_stop)

def resume_job(out, *, listener, should_stop):
    return outcome(out, resumed=True)

def quick(job, out, listener, should_stop):
    listener.progress("fit", 1, 1, 0.5, 0.0)
    return outcome(out, psnr=20.0)

def polite(job, out, listener, should_stop):
    out.mkdir(parents=True)
    done = 0
    while not should_stop():
        done += 1
        listener.progress("fit", done, 10**6, 0.5, None)
        time.sleep(0.01)
    (out / "checkpoint.npz").write_text("kept")
    return outcome(out, cancelled=True, done=done)

def stubborn(job, out, listener, should_stop):
    listener.progress("fit", 1, 2, None, None)
    while True:
        time.sleep(0.05)

def noisy(job, out, listener, should_stop):
    print("stray print", flush=True)
    sys.__stdout__.write("stray write\\n")
    sys.__stdout__.flush()
    os.write(1, b"stray bytes\\n{")
    subprocess.run([sys.executable, "-c", "print('stray child')"], check=True)
    return quick(job, out, listener, should_stop)

def hungry(job, out, listener, should_stop):
    time.sleep(0.3)  # let the next request arrive
    return outcome(out, eaten=sys.stdin.read() + os.read(0, 100).decode())

def rush(job, out, listener, should_stop):
    for done in range(1, 5001):
        listener.progress("fit", done, 5001, float("nan"), float("inf"))
    for done in range(3):
        listener.progress("write", done, 4, None, None)
    return outcome(out)

def talk(job, out, listener, should_stop):
    log.debug("too much detail")
    log.info("took %d steps", 300)
    log.warning("leaf.png: is broken")
    listener.preview(out / "preview.png")
    return outcome(out)

def echo(job, out, listener, should_stop):
    out.mkdir(parents=True)
    (out / "here").write_text("found")
    return outcome(out, primitives=job.primitives)

def infinite(job, out, listener, should_stop):
    return outcome(out, psnr=float("inf"))

def die(job, out, listener, should_stop):
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)

def user_fault(job, out, listener, should_stop):
    raise SmaltiError("cat.jpg: is no picture.", "Choose another.", "target_unreadable")

def no_memory(job, out, listener, should_stop):
    raise MemoryError

def torch_no_memory(job, out, listener, should_stop):
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

def disk_full(job, out, listener, should_stop):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out / "render.png"))

def own_fault(job, out, listener, should_stop):
    raise ZeroDivisionError("division\\nby zero")

def leaves(job, out, listener, should_stop):
    sys.exit(3)
'''

HELLO = """
import sys
print('{"type": "hello", "protocol": 1, "engine_version": "0.1.0", "device": "cpu", "devices": ["cpu"], "python": "3"}')
"""
"""The start of a script that says Hello as the engine does."""


class ScriptedPlace(EnginePlace):
    """A script in the place of the engine."""

    @property
    def command(self) -> list[str]:
        return [self.python, "-u", *self.folders]


class ScriptedEngine(EngineProcess):
    """The client under test, with a script in the place of the engine."""

    def __init__(self, folder: Path, script: str) -> None:
        script_file = folder / "engine.py"
        script_file.write_text(script, encoding="utf-8")
        super().__init__(ScriptedPlace(sys.executable, (str(script_file),)), folder / "logs" / "engine.log")
        self.log = folder / "logs" / "engine.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send_raw(self, line: bytes) -> None:
        self._outgoing.put(line + b"\n")


def worker(folder: Path) -> ScriptedEngine:
    """The real worker with the jobs of FAKE_RUN, not started yet."""
    (folder / "fake_run.py").write_text(FAKE_RUN, encoding="utf-8")
    return ScriptedEngine(folder, WORKER)


def fit(task_id: str, folder: Path, doing: str, **settings: Any) -> Fit:
    """A request for the job `doing` of FAKE_RUN, with the job folder `folder`/`task_id`."""
    job = JobSpec(**{"target": str(folder / doing), "primitives": str(folder), **settings})
    return Fit(task_id, to_mapping(job), str(folder / task_id))


def wait_for(engine: EngineProcess, wanted: Callable[[Event], bool], count: int = 1) -> list[Event]:
    """Poll until `count` events are `wanted`; return all events up to then."""
    events: list[Event] = []
    end = time.monotonic() + PATIENCE
    while sum(map(wanted, events)) < count:
        assert time.monotonic() < end, f"never came; came: {events}; log: {engine.log_tail()}"
        events += engine.poll()
        time.sleep(0.005)
    return events


def at_work(event: Event) -> bool:
    """Whether an event says that a job of FAKE_RUN has begun."""
    return isinstance(event, Progress) and event.stage == "fit"


def of(*kinds: type, task_id: str | None = None) -> Callable[[Event], bool]:
    """Whether an event is of one of the kinds, and of the request `task_id` where one is given."""
    return lambda event: isinstance(event, kinds) and task_id in (None, getattr(event, "id", None))


def polled_for(engine: EngineProcess, seconds: float) -> list[Event]:
    """All events of the next `seconds`."""
    events: list[Event] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        events += engine.poll()
        time.sleep(0.02)
    return events
