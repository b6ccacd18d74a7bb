# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's promises: nothing blocks, nothing raises, and every end of an engine is told once and clearly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import HELLO, PATIENCE, REAL_WORKER, ScriptedEngine, at_work, fit, of, polled_for, wait_for, worker
from PIL import Image, ImageDraw

from smalti.bridge import client
from smalti.bridge.client import EngineProcess
from smalti.bridge.composition import read_header
from smalti.bridge.job import JobSpec
from smalti.bridge.protocol import (
    Cancel,
    Cancelled,
    Error,
    Event,
    Fit,
    Hello,
    Log,
    Preview,
    Progress,
    Result,
    Resume,
    Shutdown,
)
from smalti.bridge.schema import to_mapping

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
UNTIL_EOF = "sys.stdin.read()\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    with worker(tmp_path) as running:
        yield running


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[str], ScriptedEngine]]:
    """Starts a script in the place of the engine."""
    started = []

    def start(script: str) -> ScriptedEngine:
        started.append(ScriptedEngine(tmp_path, script))
        started[-1].start()
        return started[-1]

    yield start
    for running in started:
        running.close(timeout=0.2)


def the_error(engine: EngineProcess, code: str) -> Error:
    """The one Error that an engine ends with; nothing may come after it."""
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert error.code == code, error
    assert polled_for(engine, 0.3) == []
    assert not engine.alive
    assert not engine.busy
    return error


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_from_start_to_result(engine: ScriptedEngine, tmp_path: Path) -> None:
    def state() -> tuple[bool, bool, Hello | None]:
        return engine.alive, engine.busy, engine.hello

    assert state() == (True, False, None)
    engine.send(fit("1", tmp_path, "quick"))
    assert state() == (True, True, None)
    events = wait_for(engine, of(Result))
    assert state() == (True, False, events[0])


def test_busy_lasts_until_the_last_request_is_answered(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    engine.send(fit("2", tmp_path, "user_fault"))
    engine.send(Cancel("1"))
    events = []
    while engine.busy:
        events += engine.poll()
        time.sleep(0.005)
    assert [event.id for event in events if isinstance(event, Cancelled | Error)] == ["1", "2"]


@posix
def test_a_killed_engine_is_told_once_with_the_request_and_the_end_of_its_log(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.send(fit("before", tmp_path, "noisy"))
    engine.send(fit("1", tmp_path, "polite"))
    engine.send(fit("2", tmp_path, "polite"))
    wait_for(engine, lambda event: at_work(event) and of(Progress, task_id="1")(event))
    os.kill(engine.pid, signal.SIGKILL)
    error = the_error(engine, "engine_died")
    assert error.id == "1"
    assert error.message == "The engine stopped (SIGKILL)."
    assert "stray bytes" in error.hint
    assert str(engine.log) in error.hint


@posix
def test_what_a_dying_engine_said_last_is_not_lost(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "quick"))
    engine.send(fit("2", tmp_path, "die"))
    events = wait_for(engine, of(Error))
    assert isinstance(events[-1], Error)
    assert Result("1", str(tmp_path / "1"), {"psnr": 20.0}) in events
    assert events[-1].id == "2"
    assert "last words" in events[-1].hint


@posix
def test_an_idle_engine_that_dies_is_told_without_a_request(engine: ScriptedEngine) -> None:
    wait_for(engine, of(Hello))
    os.kill(engine.pid, signal.SIGKILL)
    assert the_error(engine, "engine_died").id is None


@posix
def test_an_engine_can_be_started_again_after_it_died(engine: ScriptedEngine, tmp_path: Path) -> None:
    wait_for(engine, of(Hello))
    first = engine.pid
    os.kill(first, signal.SIGKILL)
    while engine.alive:
        time.sleep(0.01)
    engine.start()
    assert engine.pid != first
    assert engine.hello is None
    engine.send(fit("1", tmp_path, "quick"))
    events = wait_for(engine, of(Result))
    assert [type(event) for event in events] == [Error, Hello, Progress, Progress, Result]


def test_start_does_nothing_while_the_engine_runs(engine: ScriptedEngine) -> None:
    first = engine.pid
    engine.start()
    assert engine.pid == first


def test_the_log_of_an_earlier_run_is_kept_and_not_quoted(tmp_path: Path) -> None:
    engine = worker(tmp_path)
    engine.log.parent.mkdir()
    engine.log.write_text("an old quarrel\n")
    with engine:
        engine.send(fit("1", tmp_path, "noisy"))
        wait_for(engine, of(Result))
        assert "an old quarrel" not in engine.log_tail()
        assert "stray print" in engine.log_tail()
        assert len(engine.log_tail(2).splitlines()) == 2
    assert "an old quarrel" in engine.log.read_text(encoding="utf-8")


def test_an_engine_without_a_log_works_and_says_so(tmp_path: Path) -> None:
    engine = worker(tmp_path)
    engine.log.mkdir(parents=True)
    with engine:
        events = wait_for(engine, of(Hello))
        assert isinstance(events[0], Log)
        assert str(engine.log) in events[0].message
        assert engine.log_tail() == ""


@pytest.mark.parametrize("python", ["", "no-such-python", "/no/such/python", ".", __file__, "nul\0byte"])
def test_a_python_that_cannot_be_started_is_told_once(tmp_path: Path, python: str) -> None:
    with EngineProcess(python, tmp_path / "engine.log") as engine:
        assert not engine.alive
        error = the_error(engine, "engine_missing")
    assert (python or "No Python is set") in error.message
    assert error.hint


def test_a_request_to_an_engine_that_could_not_be_started_says_why(tmp_path: Path) -> None:
    engine = EngineProcess("/no/such/python", tmp_path / "engine.log")
    engine.start()
    engine.send(fit("1", tmp_path, "quick"))
    engine.send(fit("2", tmp_path, "quick"))
    events = engine.poll()
    assert [(event.code, event.id) for event in events if isinstance(event, Error)] == [
        ("engine_missing", "1"),
        ("engine_stopped", "2"),
    ]


def test_a_python_without_the_engine_is_told_once(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with EngineProcess(str(python), tmp_path / "engine.log") as engine:
        engine.send(fit("1", tmp_path, "quick"))
        error = the_error(engine, "engine_missing")
    assert error.id == "1"
    assert f"not installed in {python}" in error.message
    assert "Install it" in error.hint


def test_a_program_that_ends_at_once_is_told_with_what_it_said(
    scripted: Callable[[str], ScriptedEngine],
) -> None:
    error = the_error(scripted("raise SystemExit('I am no engine')"), "engine_died")
    assert error.message == "The engine stopped before it was ready (exit status 1)."
    assert "I am no engine" in error.hint


@posix
def test_an_engine_that_never_says_hello_is_told_and_ended(
    scripted: Callable[[str], ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "START_LIMIT", 0.5)
    engine = scripted("import time\nprint('garbage')\ntime.sleep(100)")
    pid = engine.pid
    error = the_error(engine, "engine_silent")
    assert sys.executable in error.message
    end = time.monotonic() + PATIENCE
    while runs(pid):
        assert time.monotonic() < end
        os.waitpid(pid, os.WNOHANG)


def test_an_engine_that_prints_garbage_is_warned_of_and_still_understood(
    scripted: Callable[[str], ScriptedEngine],
) -> None:
    garbage = r"sys.stdout.buffer.write(b'\xff\x00garbage\n\n{\n[]\n{\"type\": \"dance\"}\nnull\n'); sys.stdout.flush()"
    script = f"import sys\n{garbage}\n{HELLO}{UNTIL_EOF}"
    events = wait_for(scripted(script), of(Hello))
    warnings = events[:-1]
    assert len(warnings) == 5
    assert all(isinstance(event, Log) and event.level == "warning" for event in warnings)
    assert "garbage" in str(warnings[0])


@pytest.mark.parametrize("extra", ["", ', "more": 1'])
def test_an_engine_of_another_protocol_is_told_and_ended(
    scripted: Callable[[str], ScriptedEngine], tmp_path: Path, extra: str
) -> None:
    hello = HELLO.replace('"protocol": 1', '"protocol": 99' + extra)
    engine = scripted(f"{hello}{HELLO}{UNTIL_EOF}")
    engine.send(fit("1", tmp_path, "quick"))
    error = the_error(engine, "protocol_mismatch")
    assert error.id == "1"
    assert "99" in error.message
    assert "same version" in error.hint


def test_an_engine_that_closes_its_output_and_lives_on_is_told_and_ended(
    scripted: Callable[[str], ScriptedEngine],
) -> None:
    engine = scripted(f"{HELLO}import os, time\nsys.stdout.flush()\nos.close(1)\ntime.sleep(100)")
    assert the_error(engine, "engine_died").message == "The engine stopped (it closed its output)."


@posix
def test_an_end_is_told_although_a_child_of_the_engine_holds_its_output(
    scripted: Callable[[str], ScriptedEngine],
) -> None:
    engine = scripted(f"{HELLO}import subprocess\nsubprocess.Popen(['sleep', '5'])\nraise SystemExit(3)")
    assert the_error(engine, "engine_died").message == "The engine stopped (exit status 3)."


def test_an_engine_that_was_asked_to_leave_leaves_without_an_error(engine: ScriptedEngine) -> None:
    wait_for(engine, of(Hello))
    engine.send(Shutdown())
    end = time.monotonic() + PATIENCE
    while engine.alive:
        assert time.monotonic() < end
        assert engine.poll() == []
        time.sleep(0.01)
    assert polled_for(engine, 0.3) == []


def test_a_request_without_an_engine_is_answered(tmp_path: Path) -> None:
    engine = worker(tmp_path)
    engine.send(fit("1", tmp_path, "quick"))
    engine.send(Cancel("1"))
    assert not engine.busy
    (error,) = engine.poll()
    assert isinstance(error, Error)
    assert (error.code, error.id) == ("engine_stopped", "1")


def test_close_lets_a_job_keep_its_checkpoint(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    wait_for(engine, at_work)
    engine.close()
    assert (tmp_path / "1" / "checkpoint.npz").exists()
    assert not engine.alive
    assert not engine.busy
    assert engine.poll() == []
    engine.close()


@posix
def test_close_ends_an_engine_that_does_not_listen(scripted: Callable[[str], ScriptedEngine]) -> None:
    engine = scripted(f"{HELLO}import time\ntime.sleep(100)")
    wait_for(engine, of(Hello))
    pid = engine.pid
    start = time.monotonic()
    engine.close(timeout=0.3)
    assert time.monotonic() - start < 2
    assert not runs(pid)


@posix
def test_sending_much_to_an_engine_that_does_not_read_does_not_block(engine: ScriptedEngine, tmp_path: Path) -> None:
    wait_for(engine, of(Hello))
    os.kill(engine.pid, signal.SIGSTOP)
    start = time.monotonic()
    for number in range(10):
        engine.send(fit(str(number), tmp_path, "quick", primitives="/" + "x" * 1_000_000))
        engine.poll()
    assert time.monotonic() - start < 1
    engine.close(timeout=0.1)
    assert not engine.alive


def test_messages_of_a_megabyte_pass_both_ways(engine: ScriptedEngine, tmp_path: Path) -> None:
    long_path = "/" + "ü" * 1_000_000
    engine.send(fit("1", tmp_path, "echo", primitives=long_path))
    result = wait_for(engine, of(Result))[-1]
    assert isinstance(result, Result)
    assert result.report["primitives"] == long_path


@pytest.mark.parametrize(
    "name",
    [
        "Ärger & 猫 😀 'quoted\"",
        "line\nfeed",
        pytest.param(
            os.fsdecode(b"Latin-1 \xe4"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="no such file names here"),
        ),
    ],
)
def test_job_folders_of_any_name_work(engine: ScriptedEngine, tmp_path: Path, name: str) -> None:
    engine.send(fit(name, tmp_path, "echo"))
    result = wait_for(engine, of(Result))[-1]
    assert isinstance(result, Result)
    assert (Path(result.path) / "here").read_text() == "found"
    assert Path(result.path) == tmp_path / name


def test_an_event_in_pieces_is_one_event(scripted: Callable[[str], ScriptedEngine]) -> None:
    pieces = [b'{"type": "prev', 'iew", "id": "1", "path": "/\u732b'.encode()[:-1], b"\xab", b'"}\n']
    script = (
        f"{HELLO}import os, time\nfor piece in {pieces!r}:\n    os.write(1, piece)\n    time.sleep(0.05)\n{UNTIL_EOF}"
    )
    events: list[Event] = wait_for(scripted(script), of(Preview))
    assert events[1:] == [Preview("1", "/\u732b")]


def test_the_callers_python_settings_and_folder_do_not_reach_the_engine(
    scripted: Callable[[str], ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.delenv("SMALTI_CACHE", raising=False)
    monkeypatch.setenv("SMALTI_KEEPS", "this")
    engine = scripted(
        f"{HELLO}import os\n"
        "names = sorted(n for n in os.environ if n.startswith(('PYTHON', 'SMALTI')))\n"
        "print(names, sys.flags.utf8_mode, sys.flags.safe_path, os.getcwd(), file=sys.stderr)\n"
        "sys.stderr.flush()\nraise SystemExit(0)"
    )
    the_error(engine, "engine_died")
    cwd = os.path.realpath(tempfile.gettempdir())
    assert engine.log_tail() == f"['PYTHONSAFEPATH', 'PYTHONUTF8', 'SMALTI_KEEPS'] 1 True {cwd}"


@posix
def test_the_engine_is_in_a_process_group_of_its_own(engine: ScriptedEngine) -> None:
    assert os.getpgid(engine.pid) == engine.pid != os.getpgid(0)


@posix
def test_an_engine_leaves_when_its_client_is_killed(tmp_path: Path) -> None:
    worker(tmp_path)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import time\nfrom pathlib import Path\nfrom engines import *\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "engine = worker(folder)\nengine.start()\nengine.send(fit('1', folder, 'polite'))\n"
        "wait_for(engine, at_work)\n"
        "print(engine.pid, flush=True)\ntime.sleep(100)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert runs(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    start = time.monotonic()
    while not (tmp_path / "1" / "checkpoint.npz").exists():
        assert time.monotonic() - start < 2
        time.sleep(0.01)


def test_a_client_that_ends_without_closing_is_not_disturbed(tmp_path: Path) -> None:
    worker(tmp_path)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from pathlib import Path\nfrom engines import *\nfrom smalti.bridge.protocol import Hello\n"
        f"engine = worker(Path({str(tmp_path)!r}))\nengine.start()\nwait_for(engine, of(Hello))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture
def real_job(tmp_path: Path) -> dict[str, Any]:
    """The settings of a small job that the real engine takes a second or two for."""
    (tmp_path / "dots").mkdir()
    for name, size in (("round", (9, 9)), ("long", (5, 14))):
        dot = Image.new("RGBA", size)
        ImageDraw.Draw(dot).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=(255, 255, 255, 255))
        dot.save(tmp_path / "dots" / f"{name}.png")
    Image.linear_gradient("L").resize((48, 40)).convert("RGB").save(tmp_path / "target.png")
    job = JobSpec(str(tmp_path / "target.png"), str(tmp_path / "dots"), count=60, size=64, steps=12_000, seed=3)
    return to_mapping(job)


def arrays(folder: Path) -> dict[str, bytes]:
    with np.load(folder / "frames.npz", allow_pickle=False) as file:
        return {name: file[name].tobytes() for name in file.files}


@posix
@pytest.mark.slow
def test_a_killed_job_is_resumed_from_its_checkpoint_to_the_same_result(
    tmp_path: Path, real_job: dict[str, Any]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with ScriptedEngine(tmp_path, REAL_WORKER) as engine:
        engine.send(Fit("whole", real_job, str(whole)))
        uncut = wait_for(engine, of(Result))[-1]
        engine.send(Fit("cut", real_job, str(cut)))
        wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit" and event.done > 4000)
        os.kill(engine.pid, signal.SIGKILL)
        assert the_error(engine, "engine_died").id == "cut"
        assert not (cut / "frames.npz").exists()
        engine.start()
        engine.send(Resume("cut", str(cut)))
        events = wait_for(engine, of(Result))
    resumed = events[-1]
    assert isinstance(uncut, Result)
    assert isinstance(resumed, Result)
    steps = [event.done for event in events if isinstance(event, Progress) and event.stage == "fit"]
    assert 100 < steps[0] <= 12_000
    assert resumed.report["steps"] == uncut.report["steps"] == 12_000
    assert resumed.report["psnr"] == uncut.report["psnr"]
    assert arrays(cut) == arrays(whole)


@pytest.mark.slow
def test_a_job_of_a_closed_client_ends_at_once_and_can_be_resumed(tmp_path: Path, real_job: dict[str, Any]) -> None:
    out = tmp_path / "job"
    engine = EngineProcess(sys.executable, tmp_path / "engine.log")
    with engine:
        engine.send(Fit("1", {**real_job, "steps": 100_000}, str(out)))
        wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit" and event.done > 20)
        start = time.monotonic()
    assert time.monotonic() - start < 2.5
    with engine:
        engine.send(Resume("2", str(out)))
        first = wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit")[-1]
        engine.send(Cancel("2"))
        cancelled = wait_for(engine, of(Cancelled))[-1]
    assert isinstance(first, Progress)
    assert first.done > 20
    assert isinstance(cancelled, Cancelled)
    assert cancelled.path == str(out)
    assert read_header(out).sprites == 60


def test_hello_does_not_wait_for_anything_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "smalti.engine", "worker"]
    left = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE, check=True, cwd=tmp_path)
    assert b'"type": "hello"' in left.stdout
    imported = {line.split(b"|")[-1].strip() for line in left.stderr.splitlines()}
    assert b"smalti.engine.worker" in imported
    assert not imported & {b"torch", b"numpy", b"PIL", b"psd_tools"}
