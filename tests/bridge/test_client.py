# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's promises: nothing blocks, nothing raises, and every end of an engine is told once and clearly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ends import UNTIL_EOF, posix, runs, the_error
from engines import HELLO, PATIENCE, ScriptedEngine, at_work, fit, of, polled_for, wait_for, worker

from smalti.bridge import client
from smalti.bridge.client import EngineProcess
from smalti.bridge.engine_place import EnginePlace
from smalti.bridge.protocol import (
    Cancel,
    Cancelled,
    Error,
    Hello,
    Log,
    Progress,
    Result,
    Shutdown,
)


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
    with EngineProcess(EnginePlace(python), tmp_path / "engine.log") as engine:
        assert not engine.alive
        error = the_error(engine, "engine_missing")
    assert (python or "No Python is set") in error.message
    assert error.hint


def test_a_request_to_an_engine_that_could_not_be_started_says_why(tmp_path: Path) -> None:
    engine = EngineProcess(EnginePlace("/no/such/python"), tmp_path / "engine.log")
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
    with EngineProcess(EnginePlace(str(python)), tmp_path / "engine.log") as engine:
        engine.send(fit("1", tmp_path, "quick"))
        error = the_error(engine, "engine_missing")
    assert error.id == "1"
    assert f"not installed in {python}" in error.message
    assert "Install it" in error.hint


def test_an_engine_beside_another_program_s_packages_is_found_and_nothing_else_is(tmp_path: Path) -> None:
    """As in Blender, whose Python has an isolated start and a folder of packages for all of its extensions."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    folder = tmp_path / "site packages ä"
    (folder / "smalti" / "engine").mkdir(parents=True)
    (folder / "smalti" / "engine" / "__init__.py").touch()
    said = (
        'import sys\nassert sys.argv[1:] == ["worker"], sys.argv\nassert sys.flags.isolated and sys.flags.utf8_mode\n'
    )
    (folder / "smalti" / "engine" / "__main__.py").write_text(said + HELLO + "sys.stdin.read()\n", encoding="utf-8")
    with EngineProcess(EnginePlace(str(python), (str(folder),)), tmp_path / "engine.log") as engine:
        wait_for(engine, of(Hello))
        assert engine.hello is not None


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


@pytest.mark.parametrize(
    "garbage",
    ["b'no event' + bytes([10])", "b'[' * 100_000 + bytes([10])", "bytes(65) + bytes([10])"],
    ids=["lines", "nested", "zeros"],
)
def test_a_program_that_prints_nothing_but_garbage_is_told_and_ended(
    scripted: Callable[[str], ScriptedEngine], tmp_path: Path, garbage: str
) -> None:
    engine = scripted(f"{HELLO}sys.stdout.flush()\nwhile True: sys.stdout.buffer.write({garbage})")
    engine.send(fit("1", tmp_path, "quick"))
    error = the_error(engine, "engine_garbled")
    assert error.id == "1"
    assert sys.executable in error.message
    assert error.hint


def test_one_poll_of_an_engine_that_writes_without_end_is_short(scripted: Callable[[str], ScriptedEngine]) -> None:
    log = r'{"type": "log", "level": "info", "message": "again", "id": null}'
    engine = scripted(f"{HELLO}while True: print({log!r})")
    wait_for(engine, of(Log))
    time.sleep(0.5)
    assert len(engine.poll()) == client._AT_ONCE
    assert engine.alive


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


@pytest.mark.slow
def test_an_engine_that_closes_its_output_and_lives_on_is_told_and_ended(
    scripted: Callable[[str], ScriptedEngine],
) -> None:
    engine = scripted(f"{HELLO}import os, time\nsys.stdout.flush()\nos.close(1)\ntime.sleep(100)")
    assert the_error(engine, "engine_died").message == "The engine stopped (it closed its output)."


@posix
@pytest.mark.slow
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
