# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's promises, kept by the real worker with jobs made up for the purpose."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import PATIENCE, ScriptedEngine, at_work, fit, of, wait_for, worker
from jobs import slow

from smalti.bridge.pipes import read_lines
from smalti.bridge.protocol import (
    EVENTS,
    PROTOCOL,
    REVISION_VARIABLE,
    Cancel,
    Cancelled,
    Cancelling,
    Error,
    Event,
    Export,
    Hello,
    Log,
    Preview,
    Progress,
    Result,
    Resume,
    Shutdown,
    decode,
    encode,
)
from smalti.bridge.version import VERSION

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    with worker(tmp_path) as running:
        yield running


class Pipes:
    """The worker without the client: its ends are closed by hand."""

    def __init__(self, folder: Path) -> None:
        script = worker(folder)._place.command
        self.process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._lines = read_lines(self.stdout.fileno())

    def next(self, wanted: Callable[[Event], bool]) -> Event:
        """The next event that is wanted; others before it are dropped."""
        for line in self._lines:
            event: Event = decode(line, EVENTS)
            if wanted(event):
                return event
        raise AssertionError("the worker left before it said what was wanted")

    def seconds_to_end(self) -> float:
        start = time.monotonic()
        self.process.wait(PATIENCE)
        return time.monotonic() - start


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    running = Pipes(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    running.stdin.close()
    running.stdout.close()


def test_hello_comes_first_and_says_what_the_engine_is(engine: ScriptedEngine) -> None:
    (hello,) = wait_for(engine, of(Hello))
    assert isinstance(hello, Hello)
    assert (hello.protocol, hello.engine_version) == (PROTOCOL, VERSION)
    assert hello.device in hello.devices
    assert hello.python == sys.version.split()[0]


def test_a_request_is_answered_by_one_result_that_ends_it(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "quick"))
    events = wait_for(engine, of(Result))
    assert events[1:] == [
        Progress("1", "prepare", 0, 1),
        Progress("1", "fit", 1, 1, 0.5, 0.0),
        Result("1", str(tmp_path / "1"), {"psnr": 20.0}),
    ]


def test_a_job_is_resumed_on_request(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(Resume("1", str(tmp_path / "job")))
    assert wait_for(engine, of(Result))[-1] == Result("1", str(tmp_path / "job"), {"resumed": True})


@pytest.mark.slow
def test_an_export_of_no_job_is_an_error_and_the_worker_goes_on(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(Export("1", str(tmp_path / "nothing"), "psd"))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.id, error.code) == ("1", "no_composition")
    engine.send(fit("2", tmp_path, "quick"))
    wait_for(engine, of(Result))


def test_requests_are_worked_on_one_at_a_time_in_their_order(engine: ScriptedEngine, tmp_path: Path) -> None:
    for task_id in "1234":
        engine.send(fit(task_id, tmp_path, "quick"))
    events = wait_for(engine, of(Result), 4)
    told = [(type(event), event.id) for event in events if isinstance(event, Progress | Result)]
    assert told == [(kind, task_id) for task_id in "1234" for kind in (Progress, Progress, Result)]


def test_a_cancel_is_acknowledged_within_half_a_second_and_keeps_the_best_so_far(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    wait_for(engine, at_work)
    start = time.monotonic()
    engine.send(Cancel("1"))
    events = wait_for(engine, of(Cancelling))
    assert time.monotonic() - start < 0.5
    cancelled = (events if any(map(of(Cancelled), events)) else wait_for(engine, of(Cancelled)))[-1]
    assert isinstance(cancelled, Cancelled)
    assert (cancelled.id, cancelled.path) == ("1", str(tmp_path / "1"))
    assert cancelled.report["done"] > 0
    assert (tmp_path / "1" / "checkpoint.npz").exists()


@pytest.mark.slow
def test_a_cancel_is_acknowledged_while_the_job_does_not_listen(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "stubborn"))
    wait_for(engine, at_work)
    start = time.monotonic()
    engine.send(Cancel("1"))
    wait_for(engine, of(Cancelling))
    assert time.monotonic() - start < 0.5


def test_a_waiting_request_is_cancelled_at_once_and_never_started(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    wait_for(engine, at_work)
    engine.send(fit("2", tmp_path, "polite"))
    engine.send(Cancel("2"))
    events = wait_for(engine, of(Cancelled))
    assert [event for event in events if not isinstance(event, Progress)] == [Cancelling("2"), Cancelled("2")]
    engine.send(Cancel("1"))
    engine.send(fit("3", tmp_path, "quick"))
    wait_for(engine, of(Result, task_id="3"))
    assert not (tmp_path / "2").exists()


def test_a_cancel_of_no_request_is_an_error(engine: ScriptedEngine) -> None:
    engine.send(Cancel("7"))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.code, error.id) == ("unknown_id", "7")


def test_a_cancel_that_comes_too_late_does_not_answer_the_request_again(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "quick"))
    wait_for(engine, of(Result))
    engine.send(Cancel("1"))
    (event,) = wait_for(engine, of(Log, Error, Cancelled, Cancelling))
    assert isinstance(event, Log)
    assert event.id == "1"


def test_an_id_is_used_once(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    wait_for(engine, at_work)
    engine.send_raw(encode(fit("1", tmp_path, "quick")))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.code, error.id) == ("duplicate_id", None)
    wait_for(engine, of(Progress, task_id="1"))


@pytest.mark.parametrize(
    "line", [b"garbage", b"\xff\x00", b"[1]", b'{"type": "dance"}', b'{"type": "fit", "id": "1"}', b"[" * 100_000]
)
def test_a_line_that_is_no_request_is_answered_and_the_worker_goes_on(
    engine: ScriptedEngine, tmp_path: Path, line: bytes
) -> None:
    engine.send_raw(line)
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.code, error.id) == ("bad_message", None)
    engine.send_raw(b"")
    engine.send(fit("1", tmp_path, "quick"))
    wait_for(engine, of(Result))


def test_what_a_job_prints_goes_to_the_log(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "noisy"))
    events = wait_for(engine, of(Result))
    assert [type(event) for event in events] == [Hello, Progress, Progress, Result]
    for stray in ("stray print", "stray write", "stray bytes", "stray child"):
        assert stray in engine.log.read_text(encoding="utf-8")


def test_a_job_that_reads_stdin_gets_nothing_and_eats_no_request(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "hungry"))
    engine.send(fit("2", tmp_path, "quick"))
    events = wait_for(engine, of(Result), 2)
    assert Result("1", str(tmp_path / "1"), {"eaten": ""}) in events


def test_progress_is_throttled_and_the_last_of_every_stage_is_sent(engine: ScriptedEngine, tmp_path: Path) -> None:
    start = time.monotonic()
    engine.send(fit("1", tmp_path, "rush"))
    events = [event for event in wait_for(engine, of(Result)) if isinstance(event, Progress)]
    assert len(events) <= 5 + (time.monotonic() - start) / 0.1
    assert events[1] == Progress("1", "fit", 1, 5001)
    assert Progress("1", "fit", 5000, 5001) in events
    assert events[-1] == Progress("1", "write", 2, 4)


def test_what_the_engine_logs_is_told_with_the_request_and_kept_in_the_log(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.send(fit("1", tmp_path, "talk"))
    assert wait_for(engine, of(Result))[2:-1] == [
        Log("info", "took 300 steps", "1"),
        Log("warning", "leaf.png: is broken", "1"),
        Preview("1", str(tmp_path / "1" / "preview.png")),
    ]
    assert "leaf.png: is broken" in engine.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("user_fault", "target_unreadable", "cat.jpg: is no picture."),
        ("no_memory", "out_of_memory", "not enough memory"),
        ("torch_no_memory", "out_of_memory", "not enough memory"),
        ("disk_full", "disk_full", "render.png: the disk is full."),
        ("own_fault", "internal", "ZeroDivisionError: division by zero."),
        ("leaves", "internal", "SystemExit: 3."),
        ("infinite", "internal", "ValueError"),
    ],
)
def test_a_job_that_fails_is_told_in_one_sentence_and_the_worker_goes_on(
    engine: ScriptedEngine, tmp_path: Path, target: str, code: str, words: str
) -> None:
    engine.send(fit("1", tmp_path, target))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.id, error.code) == ("1", code)
    assert words in error.message
    assert "\n" not in error.message
    assert error.hint
    assert "Traceback" in engine.log.read_text(encoding="utf-8")
    engine.send(fit("2", tmp_path, "quick"))
    wait_for(engine, of(Result))


@pytest.mark.parametrize(
    ("settings", "code", "name"),
    [
        ({"count": -5}, "bad_setting", "count"),
        ({"target": "cat.jpg"}, "relative_path", "target"),
        ({"primitives": "leaves"}, "relative_path", "primitives"),
        ({"target_mask": "mask.png"}, "relative_path", "target_mask"),
        ({"keep_in": "mask.png"}, "relative_path", "keep_in"),
        ({"text": "a", "font": "serif.ttf"}, "relative_path", "font"),
        ({"weight_map": "map.png"}, "relative_path", "weight_map"),
        ({"regions": [{"mask": "mask.png", "count": 3}]}, "relative_path", "mask of region 1"),
        ({"regions": [{"mask": "/m.png", "count": 3, "primitives": "a"}]}, "relative_path", "primitives of region 1"),
        ({"regions": [{"mask": "/m.png", "count": 3, "size": 7}]}, "unknown_key", "job: regions, number 1"),
        ({"loss": "vgg", "loss_weights_file": "vgg.pth"}, "relative_path", "loss_weights_file"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    engine: ScriptedEngine, tmp_path: Path, settings: dict[str, object], code: str, name: str
) -> None:
    engine.send(fit("1", tmp_path, "quick", **settings))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.id, error.code) == ("1", code)
    assert name in error.message


def test_a_client_that_words_settings_itself_is_sent_which_they_are(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "quick", count=-5))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert error.message == "count is -5, but must be from 0 to 1,000,000."
    assert error.worded(str.upper)[0] == "COUNT is -5, but must be from 0 to 1,000,000."


@pytest.mark.parametrize("revision", [None, "0", "none"])
def test_a_client_of_before_is_sent_errors_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    if revision is not None:
        monkeypatch.setenv(REVISION_VARIABLE, revision)
    script = worker(tmp_path)._place.command
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(encode(fit("1", tmp_path, "quick", count=-5)))
        events = map(json.loads, read_lines(process.stdout.fileno()))
        error = next(event for event in events if event["type"] == "error")
        process.kill()
    assert set(error) == {"type", "code", "message", "hint", "id"}
    assert error["message"] == "count is -5, but must be from 0 to 1,000,000."


def test_an_unknown_setting_is_named(engine: ScriptedEngine, tmp_path: Path) -> None:
    request = fit("1", tmp_path, "quick")
    request.job["colour"] = "red"
    engine.send(request)
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert error.code == "unknown_key"
    assert "'colour'" in error.message


@pytest.mark.parametrize("request_", [Resume("1", "job"), Export("1", "job", "psd")], ids=["resume", "export"])
def test_a_relative_job_folder_is_refused(engine: ScriptedEngine, request_: Resume | Export) -> None:
    engine.send(request_)
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.id, error.code) == ("1", "relative_path")


def test_a_closed_stdin_ends_the_worker_and_the_job_keeps_its_checkpoint(pipes: Pipes, tmp_path: Path) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, "polite")) + encode(fit("2", tmp_path, "polite")))
    pipes.next(at_work)
    pipes.stdin.close()
    assert pipes.seconds_to_end() < 2
    assert pipes.process.returncode == 0
    assert (tmp_path / "1" / "checkpoint.npz").exists()
    assert not (tmp_path / "2").exists()


@pytest.mark.slow
def test_a_closed_stdin_ends_the_worker_within_two_seconds_although_the_job_does_not_listen(
    pipes: Pipes, tmp_path: Path
) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, "stubborn")))
    pipes.next(at_work)
    pipes.stdin.close()
    assert pipes.seconds_to_end() < 2


def test_a_closed_stdin_ends_an_idle_worker(pipes: Pipes) -> None:
    pipes.next(of(Hello))
    pipes.stdin.close()
    assert pipes.seconds_to_end() < 2
    assert pipes.process.returncode == 0


def test_shutdown_ends_the_worker_while_stdin_stays_open(pipes: Pipes, tmp_path: Path) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, "polite")))
    pipes.next(at_work)
    pipes.stdin.write(encode(Shutdown()))
    assert pipes.seconds_to_end() < 2
    assert (tmp_path / "1" / "checkpoint.npz").exists()


def test_a_broken_stdout_ends_the_worker(pipes: Pipes, tmp_path: Path) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, "polite")))
    pipes.next(at_work)
    pipes.stdout.close()
    assert pipes.seconds_to_end() < 2
    assert (tmp_path / "1" / "checkpoint.npz").exists()


@posix
@pytest.mark.parametrize("target", ["polite", slow("stubborn")])
def test_sigterm_ends_the_worker_within_two_seconds(pipes: Pipes, tmp_path: Path, target: str) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, target)))
    pipes.next(at_work)
    pipes.process.terminate()
    assert pipes.seconds_to_end() < 2
    assert (tmp_path / "1" / "checkpoint.npz").exists() == (target == "polite")


@posix
def test_ctrl_c_in_the_terminal_does_not_touch_the_job(pipes: Pipes, tmp_path: Path) -> None:
    pipes.stdin.write(encode(fit("1", tmp_path, "polite")))
    pipes.next(at_work)
    pipes.process.send_signal(signal.SIGINT)
    pipes.stdin.write(encode(Cancel("1")))
    assert pipes.next(of(Cancelled))
